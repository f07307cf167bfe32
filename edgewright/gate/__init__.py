# SPDX-License-Identifier: Apache-2.0
"""The gate: pure functions, measurements in, verdict out (docs/explanation/gate.md)."""
