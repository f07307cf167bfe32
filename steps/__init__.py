# SPDX-License-Identifier: Apache-2.0
"""ZenML steps, one a file, thin: unpack, call the core or a named integration, record."""
