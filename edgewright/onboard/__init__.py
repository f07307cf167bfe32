# SPDX-License-Identifier: Apache-2.0
"""What runs on a device: Python 3.9 or later, numpy, the runtime's own module, and nothing else.

The host runs the same functions; for other machines they are packed into one file (`edgewright.probe_archive`). The facts
they take are edgewright's own types here, and plain objects with the same fields, read from JSON, on a device. Types are
imported for the type checker alone, and `edgewright.errors` goes along.
"""
