# SPDX-License-Identifier: Apache-2.0
"""How the gate's sentences write numbers."""


def amount(value: float, unit: str) -> str:
    """Write a number with its unit: shares as percentage points, bytes with thousands separated."""
    if unit == "fraction":
        return f"{100 * value:.2f} points"
    if unit == "bytes":
        return f"{value:,.0f} bytes"
    return f"{value:.4g} {unit}".strip()
