# SPDX-License-Identifier: Apache-2.0
"""Passes on live models, a file each."""
