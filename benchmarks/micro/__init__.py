# SPDX-License-Identifier: Apache-2.0
"""Parts of the races for microcontrollers: the release of each seed, and what came of it as rows, tables and picture."""
