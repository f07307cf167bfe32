# SPDX-License-Identifier: Apache-2.0
"""Rules that devices' reports are held against: that they can be read, that there are enough of them, and their ranges.

One row a report of the last day, and one for each that was refused; of these only the reason is known.
"""

from typing import TYPE_CHECKING

from edgewright.config.drift import ReportChecks
from edgewright.drift.fleet import Fleet
from edgewright.integrations.services.great_expectations.expectations import BETWEEN, rule, run
from edgewright.report.facts import CheckResult

if TYPE_CHECKING:
    import pandas as pd

NULL, SUM, DISTINCT = (
    "expect_column_values_to_be_null",
    "expect_column_sum_to_be_between",
    "expect_column_unique_value_count_to_be_between",
)
#: a rule for single reports holds when so many of them keep it: one device with a broken sensor does not stop a check
MOSTLY = 0.95


def check_fleet(fleet: Fleet, checks: ReportChecks) -> list[CheckResult]:
    """Return one result a rule, broken ones naming reports (at most ten, then a count)."""
    schema = f"at most {checks.max_refused:.4g} of the reports are refused"
    volume = f"at least {checks.min_devices} devices have reported in the last day"
    samples = f"they have seen at least {checks.min_samples} samples"
    missing = f"at most {checks.max_missing:.4g} of the values of a report are missing"
    period = f"a report covers at most {checks.max_hours:.4g} hours"
    expectations = [
        rule("schema", schema, NULL, column="refused", mostly=round(1 - checks.max_refused, 9)),
        rule("devices", volume, DISTINCT, column="device", min_value=checks.min_devices),
        rule("samples", samples, SUM, column="samples", min_value=checks.min_samples),
        rule("missing", missing, BETWEEN, column="missing", max_value=checks.max_missing, mostly=MOSTLY),
        rule("period", period, BETWEEN, column="hours", max_value=checks.max_hours, mostly=MOSTLY),
    ]
    return run(_table(fleet), expectations, where="checks")


def _table(fleet: Fleet) -> "pd.DataFrame":
    import pandas as pd

    columns = ["origin", "split", "device", "samples", "missing", "hours", "refused"]
    taken = [
        (head.origin, head.slice, head.device, head.samples, head.missing, head.hours, None) for head in fleet.heads if head.day
    ]
    refused = [
        (example.partition(": ")[0], "refused", None, 0, None, None, reason)
        for reason, count in fleet.refused.items()
        for example in (list(fleet.examples[reason]) + ["not named"] * count)[:count]
    ]
    kinds = {"samples": "float64", "missing": "float64", "hours": "float64", "device": "object", "refused": "object"}
    return pd.DataFrame([*taken, *refused], columns=columns).astype(kinds)
