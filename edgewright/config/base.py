# SPDX-License-Identifier: Apache-2.0
"""The strict base of every configuration type: unknown keys are errors, values are immutable."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class Config(BaseModel):
    """Base of all configuration: strict about keys, frozen, documented by the docstring below each field."""

    # No defer_build: ZenML serializes models that hold these, which fails on a serializer that is not built yet.
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="strings")


#: what a folder, an MLflow model and a shell argument all accept
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
