# SPDX-License-Identifier: Apache-2.0
"""Every rule a dataset is held against: one Great Expectations run, and what it has no expectation for in pandas."""

from typing import TYPE_CHECKING

from edgewright.config.data import SPLITS, DataChecks, SplitName
from edgewright.data.dataset import Dataset
from edgewright.data.samples import NAMED, named
from edgewright.integrations.services.great_expectations.expectations import own_suite, rules, run
from edgewright.integrations.services.great_expectations.table import label_columns, table_of
from edgewright.report.facts import CheckResult

if TYPE_CHECKING:
    import pandas as pd


def check_dataset(data: Dataset, checks: DataChecks) -> list[CheckResult]:
    """Return one result a rule, broken ones naming rows or files (at most ten, then a count).

    Raises:
        DataError: the user's suite is none, or a feature bears the name of a column of ours.
    """
    suite = own_suite(checks.suite) if checks.suite else []
    stored = [_stored_alike(data, "shape"), _stored_alike(data, "dtype")]
    if not all(result.passed for result in stored):
        return stored  # without one shape and dtype there is no table to hold the other rules against
    table = table_of(data)
    results = [*stored, *run(table, [*rules(data, checks), *suite])]
    results.append(_labels_vary(table, data))
    if data.card.task == "classification":
        results.append(_class_balance(table, data, checks))
    results.append(_duplicates(table, allowed=checks.allow_duplicates_across_splits))
    return results


def _stored_alike(data: Dataset, what: str) -> CheckResult:
    """All splits hold samples of the card's shape or dtype."""
    wanted = str(data.card.sample_shape if what == "shape" else data.card.sample_dtype)
    found = {
        split: str(array.shape[1:] if what == "shape" else array.dtype) for split in SPLITS for array in [data.stored(split)]
    }
    wrong = [f"{split} holds {value}" for split, value in found.items() if value != wanted]
    return CheckResult(
        rule=what, passed=not wrong, detail=f"samples are {wanted}" + (f", but {', '.join(wrong)}" if wrong else "")
    )


def _by_split(table: "pd.DataFrame") -> "list[tuple[SplitName, pd.DataFrame]]":
    return [(split, table[table["split"] == split]) for split in SPLITS]


def _labels_vary(table: "pd.DataFrame", data: Dataset) -> CheckResult:
    """No split that is judged on, or learned from, holds one and the same label throughout."""
    splits = SPLITS if data.card.task != "anomaly" else ("validation", "test")
    columns = label_columns(data)
    constant = [
        f"{split}: {column} is always {rows[column].iloc[0]}"
        for split, rows in _by_split(table)
        if split in splits
        for column in columns
        if rows[column].nunique() < 2
    ]
    detail = "; ".join(constant[:NAMED]) or f"labels differ within {', '.join(splits)}"
    return CheckResult(rule="constant_labels", passed=not constant, detail=detail)


def _class_balance(table: "pd.DataFrame", data: Dataset, checks: DataChecks) -> CheckResult:
    """Every class has its share of every split."""
    low, high = checks.min_class_share, checks.max_class_share
    wrong, seen = [], []
    for split, rows in _by_split(table):
        shares = rows["label"].value_counts(normalize=True).reindex(data.card.labels, fill_value=0.0)
        seen += shares.tolist()
        wrong += [
            f"{split}: class {label!r} has {share:.2%} ({round(share * len(rows))} of {len(rows)})"
            for label, share in shares.items()
            if not low <= share <= high
        ]
    said = f"class shares lie between {min(seen):.2%} and {max(seen):.2%}; allowed are {low:.2%} to {high:.2%}"
    return CheckResult(rule="class_balance", passed=not wrong, detail=f"{said}: {named(wrong)}" if wrong else said)


def _duplicates(table: "pd.DataFrame", *, allowed: bool) -> CheckResult:
    """No sample stands in two splits: what was trained on must not be judged on."""
    first = table.drop_duplicates(["sha256", "split"])
    several = first[first.duplicated("sha256", keep=False)]
    pairs = [
        " = ".join(f"{origin} ({split})" for origin, split in zip(rows["origin"], rows["split"], strict=True))
        for _, rows in several.groupby("sha256", sort=False)
    ]
    if not pairs:
        return CheckResult(rule="duplicates", passed=True, detail="no sample stands in two splits")
    detail = f"{len(pairs)} samples stand in more than one split{' (allowed)' if allowed else ''}: {named(pairs)}"
    return CheckResult(rule="duplicates", passed=allowed, detail=detail)
