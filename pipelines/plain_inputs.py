# SPDX-License-Identifier: Apache-2.0
"""Plain inputs of steps as parameters: shown as such in ZenML, and without an artifact each, whose records take 0.1 s each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zenml import ExternalArtifact

#: bytes of JSON up to which an input is a parameter; none is by default (zenml/execution/pipeline/dynamic/compilation.py, 0.98)
_VARIABLE, _BYTES = "ZENML_PARAMETER_SIZE_THRESHOLD", "65536"


@contextmanager
def plain_inputs_as_parameters() -> Iterator[None]:
    """Have ZenML take small inputs as parameters, unless the user has set the size."""
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = _BYTES
    try:
        yield
    finally:
        del os.environ[_VARIABLE]


def outside_the_key(value: Any) -> Any:
    """Pass an input of a step as an artifact: a cache policy can leave those out of the key, and parameters never."""
    return ExternalArtifact(value=value)
