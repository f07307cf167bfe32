# SPDX-License-Identifier: Apache-2.0
"""What can be known before any work is done: every name exists, its toolkit is installed, its options are valid."""

from typing import Any

from pydantic import ValidationError

from edgewright.config import ReleaseConfig, Target
from edgewright.config.load import explain
from edgewright.errors import ConfigError
from edgewright.ladder import why_not
from edgewright.metrics import metric
from edgewright.plugins import create


def preflight(config: ReleaseConfig) -> None:
    """Check all integrations a release names.

    Raises:
        ConfigError: a name, an option or a rung that cannot be met.
        ToolkitMissing: a toolkit that is not installed; the message is the pip line.
    """
    create("frameworks", config.model.framework)
    metric(config.metric_name)
    for index, target in enumerate(config.targets):
        _check_target(config, target, f"targets.{index} ({target.name})")


def _check_target(config: ReleaseConfig, target: Target, where: str) -> None:
    runtime, device = create("runtimes", target.runtime), create("devices", target.device)
    exporter = create("runtimes", runtime.exports_with) if runtime.exports_with else runtime
    if config.model.framework not in exporter.frameworks:
        raise ConfigError(
            f"runtime {target.runtime!r} takes no models of framework {config.model.framework!r}",
            where=where,
            to_do=f"it takes: {', '.join(exporter.frameworks)}",
        )
    _check_options(exporter, target.options, f"{where}.options")
    _check_options(device, target.device_options, f"{where}.device_options")
    refusals = [reason for rung in config.ladder_of(target) if (reason := why_not(rung, runtime))]
    # A rung written for this target alone is a request; one of the shared ladder may be for the other targets.
    if refusals and (target.ladder is not None or len(refusals) == len(config.ladder)):
        raise ConfigError(refusals[0], where=f"{where}.ladder", to_do="change the rung, or the runtime")


def _check_options(plugin: Any, options: dict[str, Any], where: str) -> None:
    try:
        plugin.Options.model_validate(options)
    except ValidationError as error:
        raise ConfigError(explain(error, where, root=plugin.Options)) from None
