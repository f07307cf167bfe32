# SPDX-License-Identifier: Apache-2.0
"""The ZenML data-validator flavor for Great Expectations 1.x; importing it imports no Great Expectations.

zenml data-validator flavor register edgewright.integrations.services.great_expectations.flavor.EdgewrightDataValidatorFlavor
"""

from typing import TYPE_CHECKING

from zenml.data_validators.base_data_validator import BaseDataValidatorConfig, BaseDataValidatorFlavor

if TYPE_CHECKING:
    from edgewright.integrations.services.great_expectations.validator import EdgewrightDataValidator

FLAVOR = "edgewright_gx"


class EdgewrightDataValidatorConfig(BaseDataValidatorConfig):
    """Nothing to set: the rules are the release's own, data.checks."""


class EdgewrightDataValidatorFlavor(BaseDataValidatorFlavor):
    """The flavor 'edgewright_gx'."""

    @property
    def name(self) -> str:
        """Name of the flavor."""
        return FLAVOR

    @property
    def config_class(self) -> type[EdgewrightDataValidatorConfig]:
        """Settings of a validator."""
        return EdgewrightDataValidatorConfig

    @property
    def implementation_class(self) -> "type[EdgewrightDataValidator]":
        """The validator itself."""
        from edgewright.integrations.services.great_expectations.validator import EdgewrightDataValidator

        return EdgewrightDataValidator
