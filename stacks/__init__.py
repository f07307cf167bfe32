# SPDX-License-Identifier: Apache-2.0
"""ZenML stack definitions: data."""
