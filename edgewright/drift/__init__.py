# SPDX-License-Identifier: Apache-2.0
"""From devices' reports to a verdict: merged, checked, compared with the training reference; false alarms at a stated rate."""
