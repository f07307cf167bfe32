# SPDX-License-Identifier: Apache-2.0
"""What all targets of one release share: configuration, baseline, candidates by recipe, and exported files by toolkit."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from edgewright.config import Budget, ReleaseConfig, Target, Tracking
from edgewright.config.recipe import Rung
from edgewright.fingerprint import of_plugin
from edgewright.framework import Framework
from edgewright.ladder import needs_target
from edgewright.pipelines.plain_inputs import outside_the_key
from edgewright.plugins import create, find
from edgewright.runtime import Runtime
from edgewright.steps.avoid_saturation import avoid_saturation
from edgewright.steps.compress_model import compress_model
from edgewright.steps.export_model import export_model
from edgewright.steps.measure_model import measure_model
from edgewright.steps.package_artifact import package_artifact

Handle = Any
"""What a ZenML step hands to the next one: passed on as it is; .load() gives its value."""


@dataclass(frozen=True)
class Toolkit:
    """The integrations one target stands on, by name, with the digests that key the caches of its steps."""

    exporter: str
    exporter_digest: str
    converter: str
    converter_digest: str
    runtime_digest: str
    device_digest: str

    @classmethod
    def of(cls, target: Target) -> "Toolkit":
        """Resolve the runtimes that write and compress the target's files (TFLite Micro runs LiteRT's); digest all code."""
        runtime, device = create("runtimes", target.runtime), create("devices", target.device)
        exporter = runtime.exports_with or target.runtime
        exporter_digest = of_plugin(type(create("runtimes", exporter)))
        runtime_digest = of_plugin(type(runtime))
        converter = (exporter, exporter_digest)
        if runtime.own_passes:
            converter = (target.runtime, f"{runtime_digest}{exporter_digest}")
        state = device.state(device.Options.model_validate(target.options_of_device))
        emulated = "emulated" if device.on_this_machine and runtime.emulated_here() else ""
        of_device = f"{runtime_digest}{of_plugin(type(device))}{state}{emulated}"
        return cls(exporter, exporter_digest, *converter, runtime_digest, of_device)


@dataclass(frozen=True)
class Model:
    """A candidate, and its outputs on validation and test data in its framework."""

    candidate: Handle
    outputs: Handle
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds its passes took when they were performed, by recipe prefix."""


@dataclass
class Context:
    """One release under way. What was made once is kept, also when it failed: the next rung would fail in the same words."""

    config: ReleaseConfig
    tracking: Tracking
    dataset: Handle
    baseline: Model
    framework: Framework
    framework_digest: str
    checkpoints: Path
    _made: dict[tuple[str, ...], Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, config: ReleaseConfig, tracking: Tracking, dataset: Handle, baseline: Model, digest: str, checkpoints: Path
    ) -> "Context":
        """Put together what the targets share."""
        framework: Framework = create("frameworks", config.model.framework)
        return cls(config, tracking, dataset, baseline, framework, digest, checkpoints)

    @cached_property
    def students(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What `ladder: auto` may distill the model into, largest first; counting them takes seconds, so only on demand."""
        data = self.dataset.load()
        return self.framework.students(self.config.model, data.sample_in(self.framework.layouts), data.outputs)

    def model(self, rung: Rung, target: Target) -> Model:
        """Return the candidate that a rung's model passes make of the baseline; targets and rungs share common prefixes."""
        model, name = self.baseline, ""
        for step in rung.model_passes:
            place = target if needs_target(step) else None
            name = "-".join(part for part in (name, step.name, place.name if place else "") if part)
            one = Rung(passes=(step,))  # type: ignore[arg-type]
            key = ("model", name, one.model_dump_json())
            model = self._once(key, lambda: self._compress(model, one, place, name))  # noqa: B023 - called at once
        return model

    def exported(self, model: Model, target: Target, toolkit: Toolkit) -> Handle:
        """Return the file that a target's toolkit exports of a model; targets of one toolkit share it."""
        options = target.options if toolkit.exporter == target.runtime else {}  # of a borrowed file, they are for `packaged`
        recipe = model.candidate.load().facts.recipe
        return self._once(
            ("export", toolkit.exporter, json.dumps(options, sort_keys=True), model.candidate.load().digest),
            lambda: export_model(
                model.candidate,
                self.dataset,
                toolkit.exporter,
                options,
                toolkit.exporter_digest,
                id=step_id("export", target.name, recipe),
            ),
        )

    def unsaturated(self, artifact: Handle, target: Target, toolkit: Toolkit, rung: Rung) -> Handle:
        """Return a file whose sums of 8-bit products do not saturate on the target's device: mostly the same file."""
        avoids = find("runtimes", target.runtime).without_saturation is not Runtime.without_saturation
        if not (avoids and artifact.load().facts.quantization and self._saturates(target)):
            return artifact
        name = step_id("avoid_saturation", target.name, rung.name)
        return avoid_saturation(artifact, target.runtime, toolkit.runtime_digest, id=name)

    def packaged(self, artifact: Handle, target: Target, toolkit: Toolkit, rung: Rung) -> Handle:
        """Return what the target's runtime makes of a finished file: the same file where it makes no more of it."""
        runtime = create("runtimes", target.runtime)
        if not runtime.packages(runtime.Options.model_validate(target.options)):
            return artifact
        name = step_id("package", target.name, rung.name)
        return package_artifact(artifact, target.runtime, target.options, toolkit.runtime_digest, id=name)

    def _compress(self, model: Model, rung: Rung, target: Target | None, name: str) -> Model:
        config = self.config
        candidate, seconds = compress_model(
            model.candidate,
            self.baseline.candidate,
            self.dataset,
            rung,
            config.metric_name,
            config.seed,
            place_of(target) if target else None,
            config.measuring,
            self.framework_digest,
            outside_the_key(str(self.checkpoints / step_id(name))),
            id=step_id("compress", name),
        )
        outputs = measure_model(
            candidate, self.dataset, config.metric_name, config.seed, self.framework_digest, id=step_id("measure", name)
        )
        return Model(candidate, outputs, {**model.spent, name: seconds.load()})

    def _saturates(self, target: Target) -> bool:
        """Whether 8-bit products saturate on a device of the target; each is asked once."""
        device, threads = create("devices", target.device), self.config.measuring.threads

        def ask() -> bool:
            options = (device.Options.model_validate(member.options_of_device) for member in target.members)
            return any(device.facts(threads, one).saturates for one in options)

        answer: bool = self._once(("saturates", target.name), ask)
        return answer

    def _once(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        if key not in self._made:
            try:
                self._made[key] = make()
            except Exception as error:
                self._made[key] = error
        if isinstance(self._made[key], Exception):
            raise self._made[key]
        return self._made[key]


def place_of(target: Target) -> Target:
    """Return the target without what does not change a measurement, so that a new budget measures nothing again."""
    return target.model_copy(update={"budget": Budget(), "ladder": None, "objective": None})


def step_id(*parts: str) -> str:
    """Name an invocation of a step, readable in the dashboard: 'compress_phone_ptq_w8a8_entropy'."""
    return "_".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)
