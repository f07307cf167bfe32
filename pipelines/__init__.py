# SPDX-License-Identifier: Apache-2.0
"""The flows, read top to bottom as the process."""
