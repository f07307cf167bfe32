# SPDX-License-Identifier: Apache-2.0
"""Who may promote what, and what was promoted: policy, append-only history, the rules of promotion and rollback."""
