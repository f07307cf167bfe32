# SPDX-License-Identifier: Apache-2.0
"""The stack component behind the flavor 'edgewright_gx': the same checks, for steps that ask the active stack."""

from collections.abc import Sequence
from typing import Any, ClassVar

from zenml.data_validators.base_data_validator import BaseDataValidator, BaseDataValidatorFlavor

from edgewright.config.data import DataChecks
from edgewright.data.dataset import Dataset
from edgewright.errors import DataError
from edgewright.integrations.services.great_expectations.checks import check_dataset
from edgewright.integrations.services.great_expectations.flavor import EdgewrightDataValidatorFlavor
from edgewright.report.facts import CheckResult


class EdgewrightDataValidator(BaseDataValidator):
    """Holds a Dataset against its rules."""

    NAME: ClassVar[str] = "edgewright"
    FLAVOR: ClassVar[type[BaseDataValidatorFlavor]] = EdgewrightDataValidatorFlavor

    def data_validation(
        self,
        dataset: Dataset,
        comparison_dataset: Any | None = None,
        check_list: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> list[CheckResult]:
        """Check a Dataset against ``checks`` (a DataChecks, its defaults where it is left out).

        Raises:
            DataError: a comparison or a list of checks is asked for, or the user's suite is none.
        """
        checks = kwargs.pop("checks", None) or DataChecks()
        asked = [
            *kwargs,
            *(["comparison_dataset"] if comparison_dataset is not None else []),
            *(["check_list"] if check_list else []),
        ]
        if asked:
            raise DataError(
                f"{asked[0]} is not taken", where="data_validation", to_do="give a Dataset and checks=DataChecks(…)"
            )
        return check_dataset(dataset, checks)
