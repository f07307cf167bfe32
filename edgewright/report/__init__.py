# SPDX-License-Identifier: Apache-2.0
"""The report: facts in, release.json and one self-contained page out."""
