# SPDX-License-Identifier: Apache-2.0
"""Data: read it, split it, prepare it, keep it as one bundle."""
