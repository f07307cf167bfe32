# SPDX-License-Identifier: Apache-2.0
"""Data validation by Great Expectations 1.x. ZenML's own integration is for 0.x and does not import on 1.x."""

from typing import ClassVar

from edgewright.config.data import DataChecks
from edgewright.config.drift import ReportChecks
from edgewright.data.dataset import Dataset
from edgewright.drift.fleet import Fleet
from edgewright.report.facts import CheckResult


class GreatExpectations:
    """The service that holds data against its rules."""

    name: ClassVar[str] = "great_expectations"
    requires: ClassVar[tuple[str, ...]] = ("great_expectations", "pandas")
    install: ClassVar[str] = "pip install 'great-expectations>=1.24,<2'"

    def check(self, data: Dataset, checks: DataChecks) -> list[CheckResult]:
        """Check every split against the rules, and against the user's own suite where one is named.

        Nothing is written, and nothing is sent anywhere. `edgewright.data.checks.require` turns a broken rule into an error.

        Raises:
            DataError: the user's suite is none, or its table cannot be built.
        """
        from edgewright.integrations.services.great_expectations.checks import check_dataset

        return check_dataset(data, checks)

    def check_reports(self, fleet: Fleet, checks: ReportChecks) -> list[CheckResult]:
        """Check what devices have reported: that it could be read, its volume and its ranges."""
        from edgewright.integrations.services.great_expectations.reports import check_fleet

        return check_fleet(fleet, checks)
