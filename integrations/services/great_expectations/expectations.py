# SPDX-License-Identifier: Apache-2.0
"""Rules as Great Expectations expectations, the user's own suite, the one run, and its results as sentences."""

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.config.data import DataChecks
from edgewright.config.yaml import read_yaml
from edgewright.data.dataset import Dataset
from edgewright.data.samples import NAMED
from edgewright.errors import DataError, nearest
from edgewright.integrations.services.great_expectations.table import feature_columns, label_columns
from edgewright.report.facts import CheckResult

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

NOT_NULL, BETWEEN, IN_SET = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
)
FINITE = float(np.finfo(np.float32).max)
SUITE_FORM = 'a suite is {"expectations": [{"type": "expect_column_values_to_be_between", "kwargs": {…}}, …]}'


def rules(data: Dataset, checks: DataChecks) -> "list[Expectation]":
    """The rules that expectations exist for: missing values, range, known labels."""
    features = feature_columns(data)
    low, high = checks.value_range or (-FINITE, FINITE)
    every = f"every value lies in [{low:g}, {high:g}]" if checks.value_range else "every value is finite"
    within = {"min_value": low, "max_value": high}
    few = f"at most {checks.max_missing:.4g} of the values of a {'column' if features else 'sample'} are missing"
    if features:
        share = {"mostly": round(1 - checks.max_missing, 9)}
        found = [rule("missing", few, NOT_NULL, column=column, **share) for column in features]
        found += [rule("range", every, BETWEEN, column=column, **within) for column in features]
    else:
        found = [rule("missing", few, BETWEEN, column="missing_share", max_value=checks.max_missing)]
        found += [rule("range", every, BETWEEN, column=column, **within) for column in ("minimum", "maximum")]
    if data.card.task == "regression":
        finite = {"min_value": -FINITE, "max_value": FINITE}
        return found + [
            rule("labels", "every label is finite", BETWEEN, column=column, **finite) for column in label_columns(data)
        ]
    names = list(data.card.labels) if data.card.task == "classification" else [0, 1]
    return [*found, rule("labels", f"every label is one of the {len(names)} known", IN_SET, column="label", value_set=names)]


def own_suite(path: str) -> "list[Expectation]":
    """Read the user's suite.

    Great Expectations itself logs an expectation it does not know and goes on without it; here it is an error.

    Raises:
        DataError: the file is no suite, or holds an expectation that does not exist or is not given what it needs.
    """
    if not Path(path).is_file():
        others = [file.name for file in Path(path).parent.glob(f"*{Path(path).suffix}")]
        raise DataError(
            f"there is no file {Path(path).name!r}",
            where=f"data.checks.suite: {path}",
            to_do=nearest(Path(path).name, others) if others else "check data.checks.suite",
        )
    try:
        text = Path(path).read_text(encoding="utf-8")
        suite = json.loads(text) if path.endswith(".json") else read_yaml(Path(path)).data
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"the suite cannot be read: {error}", where=f"data.checks.suite: {path}", to_do=SUITE_FORM) from error
    listed = suite.get("expectations") if isinstance(suite, dict) else None
    if not isinstance(listed, list) or not listed:
        raise DataError("this is no suite of expectations", where=f"data.checks.suite: {path}", to_do=SUITE_FORM)
    return [_own(entry, f"data.checks.suite: {path}, expectation {number}") for number, entry in enumerate(listed, 1)]


def run(table: "pd.DataFrame", expectations: "list[Expectation]", where: str = "data.checks") -> list[CheckResult]:
    """Validate the table once, in memory; one result a rule, in the order the rules were given.

    Its columns origin and split say what a row is; ``where`` names the section of the configuration for messages.

    Raises:
        DataError: Great Expectations itself gives up.
    """
    gx = _great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.exceptions.exceptions import GreatExpectationsError

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("samples")
        .add_dataframe_asset("samples")
        .add_batch_definition_whole_dataframe("samples")
    )
    order = list(dict.fromkeys(expectation.meta["rule"] for expectation in expectations if expectation.meta))
    try:
        suite = context.suites.add(gx.ExpectationSuite(name="rules", expectations=expectations))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name="rules", data=batch, suite=suite))
        ran = definition.run(
            batch_parameters={"dataframe": table},
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": NAMED,
                "unexpected_index_column_names": ["origin", "split"],
            },
        )
    except GreatExpectationsError as error:
        raise DataError(f"the rules cannot be checked: {error}", where=where, to_do="see data.checks.suite") from error
    by_rule: dict[str, list[ExpectationValidationResult]] = {rule: [] for rule in order}
    for result in ran.results:
        by_rule[_meta(result, "rule")].append(result)
    return [_summary(rule, results) for rule, results in by_rule.items()]


def _great_expectations() -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)  # it tells of every folder
    return gx


def rule(name: str, asks: str, kind: str, **kwargs: Any) -> "Expectation":
    """Return an expectation of Great Expectations as part of the rule ``name``, which ``asks`` for something, in a sentence."""
    _great_expectations()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return ExpectationConfiguration(type=kind, kwargs=kwargs, meta={"rule": name, "asks": asks}).to_domain_obj()


def _own(entry: Any, where: str) -> "Expectation":
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not isinstance(entry.get("kwargs"), dict):
        raise DataError("an expectation has a type and kwargs", where=where, to_do=SUITE_FORM)
    _great_expectations()
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    kind, kwargs = entry["type"], entry["kwargs"]
    about = kwargs.get("column") or ", ".join(kwargs.get("column_list") or kwargs.get("column_set") or ())
    try:
        asks = ", ".join(f"{key}: {value}" for key, value in kwargs.items() if key != "column")
        return rule(f"suite: {kind}" + (f" ({about})" if about else ""), asks, kind, **kwargs)
    except ExpectationNotFoundError as error:
        known = list_registered_expectation_implementations()
        raise DataError(f"there is no expectation {kind!r}", where=where, to_do=nearest(kind, known)) from error
    except (TypeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in getattr(error, "errors", list)())
        raise DataError(f"{kind} does not take these kwargs: {told or error}", where=where, to_do="correct them") from error


def _summary(rule: str, results: "list[ExpectationValidationResult]") -> CheckResult:
    asks = _meta(results[0], "asks")
    broken = [result for result in results if not result.success]
    told: list[str] = []
    left = NAMED
    for result in broken:
        sentence, used = _sentence(result, left)
        told.append(sentence)
        left -= used
        if left <= 0:
            break
    more = f"; and {len(broken) - len(told)} more columns" if len(broken) > len(told) else ""
    return CheckResult(rule=rule, passed=not broken, detail=": ".join(part for part in (asks, "; ".join(told) + more) if part))


def _sentence(result: "ExpectationValidationResult", most: int) -> tuple[str, int]:
    """What one expectation found, naming at most ``most`` samples; and how many it named."""
    config, found = result.expectation_config, result.result or {}
    column = str(config.kwargs.get("column", "")) if config else ""
    about = f"column {column!r}: " if column else ""
    raised = [info["exception_message"] for info in _exceptions(result.exception_info) if info.get("raised_exception")]
    if raised:
        return f"{about}it could not be checked: {raised[0].strip().removeprefix('Error: ')}", 1
    rows, count = found.get("partial_unexpected_index_list") or [], int(found.get("unexpected_count") or 0)
    if not rows:
        return f"{about}found {found.get('observed_value', found)}", 1
    said = [f"{row['origin']} ({row['split']})" + (f" holds {row[column]}" if column in row else "") for row in rows[:most]]
    more = f" and {count - len(said)} more" if count > len(said) else ""
    return f"{about}{count} of {found['element_count']} rows: {', '.join(said)}{more}", len(said)


def _meta(result: "ExpectationValidationResult", key: str) -> str:
    return str(((result.expectation_config and result.expectation_config.meta) or {})[key])


def _exceptions(info: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Great Expectations gives one such record, or a dictionary of them by metric."""
    info = info or {}
    return [info] if "raised_exception" in info else [value for value in info.values() if isinstance(value, dict)]
