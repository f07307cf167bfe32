# SPDX-License-Identifier: Apache-2.0
"""`python -m edgewright.cli`."""

from edgewright.cli import main

main(prog_name="edgewright")
