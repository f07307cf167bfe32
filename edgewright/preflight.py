# SPDX-License-Identifier: Apache-2.0
"""What can be known before anything is trained: names, toolkits, options; and with the data, that model and passes fit."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgewright.artifact import Artifact, Candidate
from edgewright.bench import check_limits
from edgewright.config import ReleaseConfig, Signing, Target
from edgewright.config.load import explain
from edgewright.config.model_passes import SELF, Distill
from edgewright.data.calibration import check_calibration
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, EdgewrightError, ExportError
from edgewright.export import export_model, require_loadable
from edgewright.framework import Framework
from edgewright.ladder import why_not
from edgewright.metrics import metric
from edgewright.plugins import Kind, create, find
from edgewright.trust.keys import signer_for, try_out
from edgewright.trust.model_signature import require_fitting


def preflight(config: ReleaseConfig) -> None:
    """Check all integrations a release names, and that the key it names signs.

    Raises:
        ConfigError: a name, an option or a rung that cannot be met.
        StoreError: the key cannot be had, or does not sign.
        ToolkitMissing: a toolkit that is not installed; the message is the pip line.
    """
    framework = _named("frameworks", config.model.framework, "model.framework")
    metric(config.metric_name)
    if config.signing.key:
        _check_key(config.signing)
    for index, target in enumerate(config.targets):
        _check_target(config, target, framework, f"targets.{index} ({target.name})")


def check_recipes(config: ReleaseConfig, dataset: Dataset) -> tuple[int, ...]:
    """Check, now that the data is there, that the model takes it and that every pass of every ladder can be performed.

    Returns:
        Shape of one preprocessed sample in the framework's layout, no batch.

    Raises:
        ModelError: the model or a student does not build, or does not fit the data.
        ConfigError: the calibration split is too small for a pass.
    """
    framework: Framework = create("frameworks", config.model.framework)
    sample = dataset.sample_in(framework.layouts)
    framework.check(config.model, config.task, sample, dataset.outputs)
    ladders = [ladder for target in config.targets if (ladder := config.ladder_of(target)) != "auto"]
    for rung in {rung.name: rung for ladder in ladders for rung in ladder}.values():
        spec = config.model
        for step in rung.passes:
            check_calibration(step, dataset.card.counts["calibration"])
            if framework.supports(step.kind):
                framework.check_pass(step, spec, config.task, sample, dataset.outputs)
            if isinstance(step, Distill) and step.student != SELF:  # what comes after it works on the student
                spec = spec.model_copy(update={"architecture": step.student, "options": step.options, "weights": None})
    return sample


def check_exports(config: ReleaseConfig, dataset: Dataset, folder: Path) -> list[str]:
    """Export the model with its starting weights for every target, so that an operator that is not supported shows now.

    Args:
        config: the release.
        dataset: gives the shape of samples and outputs.
        folder: empty, to write into.

    Returns:
        Names of the runtimes that took it.

    Raises:
        ExportError: a runtime refused the model; operator or layer are named where they are known.
    """
    framework: Framework = create("frameworks", config.model.framework)
    spec = config.model.model_copy(update={"training": None})
    weights = folder / "untrained"
    weights.mkdir()
    facts = framework.train(spec, dataset, config.seed, config.metric_name, weights, folder / "checkpoints")
    candidate = Candidate.seal(weights, facts)
    files: dict[tuple[str, str], Artifact] = {}
    for target in {(one.runtime, str(one.options)): one for one in config.targets}.values():
        writer = find("runtimes", target.runtime).exports_with
        options = {} if writer else target.options  # of a file that another writes, they are for what is made of it later
        key = (writer or target.runtime, str(options))
        try:
            if key not in files:
                files[key] = export_model(candidate, dataset, key[0], options, folder / f"for-{target.name}")
            if writer:
                require_loadable(files[key], target.runtime)
        except ExportError as error:
            where = f"model: {config.model.title}, for target {target.name} ({target.runtime})"
            raise ExportError(error.what, where=where, to_do=error.to_do) from error
    return sorted({target.runtime for target in config.targets})


def _check_key(signing: Signing) -> None:
    signer = signer_for(signing)
    if signing.model_signing:
        require_fitting(signer.public_key)
    try_out(signer)


def _check_target(config: ReleaseConfig, target: Target, framework: Framework, where: str) -> None:
    runtime = _named("runtimes", target.runtime, f"{where}.runtime")
    device = _named("devices", target.device, f"{where}.device")
    exporter = create("runtimes", runtime.exports_with) if runtime.exports_with else runtime
    if config.model.framework not in exporter.frameworks:
        raise ConfigError(
            f"runtime {target.runtime!r} takes no models of framework {config.model.framework!r}",
            where=where,
            to_do=f"it takes: {', '.join(exporter.frameworks)}",
        )
    _check_options(runtime, target.options, f"{where}.options")
    check_limits(target, device, where)
    for member in target.members:
        place = f"{where}.fleet.{member.member}" if target.fleet else f"{where}.device_options"
        _check_options(device, member.options_of_device, place)
        _check_device(device, member, where)
    elsewhere = runtime.why_not_here(runtime.Options.model_validate(target.options))
    if elsewhere and device.on_this_machine:
        raise ConfigError(
            elsewhere,
            where=f"{where}.device: {target.device}",
            to_do="name a device that has it; a gate judges outputs, and none can be taken here",
        )
    ladder = config.ladder_of(target)
    if ladder == "auto":
        return
    refusals = [reason for rung in ladder if (reason := why_not(rung, runtime, framework))]
    # A rung written for this target alone is a request; one of the shared ladder may be for the other targets.
    if refusals and (target.ladder is not None or len(refusals) == len(ladder)):
        raise ConfigError(refusals[0], where=f"{where}.ladder", to_do="change the rung, or the runtime")


def _check_device(device: Any, target: Target, where: str) -> None:
    try:
        device.check(target.runtime, device.Options.model_validate(target.options_of_device))
    except ConfigError as error:
        raise ConfigError(error.what, where=f"{where}.device: {target.device}", to_do=error.to_do) from error


def _named(kind: Kind, name: str, where: str) -> Any:
    """Make an integration; an error that does not say where says the key."""
    try:
        return create(kind, name)
    except EdgewrightError as error:
        raise type(error)(error.what, where=error.where or where, to_do=error.to_do) from error


def _check_options(plugin: Any, options: dict[str, Any], where: str) -> None:
    try:
        plugin.Options.model_validate(options)
    except ValidationError as error:
        raise ConfigError(
            explain(error, plugin.name, root=plugin.Options),
            where=where,
            to_do="correct it; the options of a runtime or device are described in its file",
        ) from None
