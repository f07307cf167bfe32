# SPDX-License-Identifier: Apache-2.0
"""Load the configuration of a pipeline other than a release."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edgewright.config.explain import explain
from edgewright.config.schedule import require_no_schedule
from edgewright.config.yaml import read_yaml
from edgewright.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_as(root: type[ConfigT], path: Path) -> ConfigT:
    """Load and check a file, in ZenML's form (`parameters: config: …`) or bare; paths stay as they are written.

    Raises:
        ConfigError: all problems of the file, each with its line.
    """
    document = read_yaml(path)
    require_no_schedule(document, path)
    data, prefix = document.data, 0
    for key in ("parameters", "config"):
        if isinstance(data, dict) and key in data:
            data, prefix = data[key], prefix + 1
    lines = {key[prefix:]: line for key, line in document.lines.items() if len(key) > prefix}
    try:
        return root.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            f"{path.name} is not a valid configuration\n{explain(error, path.name, lines, root=root)}",
            where=str(path.absolute()),
            to_do="correct the lines above; every key is described in docs/reference/config.md",
        ) from None
