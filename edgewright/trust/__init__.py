# SPDX-License-Identifier: Apache-2.0
"""What makes an artifact worth trusting once it has left the pipeline: keys, signatures, signed bundles, their checks."""
