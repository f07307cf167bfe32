# SPDX-License-Identifier: Apache-2.0
"""Data rules, once they were checked: a broken one stops the release."""

from collections.abc import Iterable

from edgewright.errors import DataError
from edgewright.report.facts import CheckResult


def require(results: Iterable[CheckResult]) -> None:
    """Return when every rule is kept.

    Raises:
        DataError: rules are broken; the message lists each with the rows or files it names.
    """
    broken = [result for result in results if not result.passed]
    if broken:
        raise DataError(
            f"the data breaks {len(broken)} rule{'s' if len(broken) > 1 else ''}:\n"
            + "\n".join(f"  - {result.rule}: {result.detail}" for result in broken),
            where="data.checks",
            to_do="correct the samples named above, or change the rule if it asks for too much",
        )
