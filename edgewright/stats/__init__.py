# SPDX-License-Identifier: Apache-2.0
"""Statistics the gate rests on: paired differences, percentiles with bounds, corrections (scipy and statsmodels)."""
