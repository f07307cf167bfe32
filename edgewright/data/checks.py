# SPDX-License-Identifier: Apache-2.0
"""Data rules, once they were checked: a broken one stops the release."""

from collections.abc import Iterable

from edgewright.errors import DataError
from edgewright.report.facts import CheckResult


def require(
    results: Iterable[CheckResult],
    what: str = "the data breaks",
    where: str = "data.checks",
    to_do: str = "correct the samples named above, or change the rule if it asks for too much",
) -> None:
    """Return when every rule is kept.

    Args:
        results: one a rule.
        what: breaks them, as the message begins.
        where: the section of the configuration that holds the rules.
        to_do: for the user.

    Raises:
        DataError: rules are broken; the message lists each with the rows or files it names.
    """
    broken = [result for result in results if not result.passed]
    if broken:
        raise DataError(
            f"{what} {len(broken)} rule{'s' if len(broken) > 1 else ''}:\n"
            + "\n".join(f"  - {result.rule}: {result.detail}" for result in broken),
            where=where,
            to_do=to_do,
        )
