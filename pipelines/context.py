# SPDX-License-Identifier: Apache-2.0
"""What all targets of one release share: configuration, baseline, and float parents by toolkit."""

import json
from dataclasses import dataclass, field
from typing import Any

from edgewright.config import Budget, ReleaseConfig, Target, Tracking
from edgewright.fingerprint import of_plugin
from edgewright.plugins import create
from edgewright.steps.export_float import export_float

Handle = Any
"""What a ZenML step hands to the next one: passed on as it is; .load() gives its value."""


@dataclass(frozen=True)
class Toolkit:
    """The integrations one target stands on, by name, with the digests that key the caches of its steps."""

    exporter: str
    exporter_digest: str
    device_digest: str

    @classmethod
    def of(cls, target: Target) -> "Toolkit":
        """Resolve the runtime that writes the target's files (TFLite Micro runs LiteRT's) and digest all code behind it."""
        runtime, device = create("runtimes", target.runtime), create("devices", target.device)
        exporter = runtime.exports_with or target.runtime
        exporter_digest = of_plugin(type(create("runtimes", exporter)))
        return cls(exporter, exporter_digest, f"{of_plugin(type(runtime))}{of_plugin(type(device))}")


@dataclass
class Context:
    """One release under way."""

    config: ReleaseConfig
    tracking: Tracking
    dataset: Handle
    candidate: Handle
    baseline: Handle
    _parents: dict[str, Handle] = field(default_factory=dict)

    def parent(self, target: Target, toolkit: Toolkit) -> Handle:
        """Return the float file that the target's artifacts are made from; targets of one toolkit share it."""
        key = f"{toolkit.exporter} {json.dumps(target.options, sort_keys=True)}"
        if key not in self._parents:
            try:
                self._parents[key] = export_float(
                    self.candidate,
                    self.dataset,
                    toolkit.exporter,
                    target.options,
                    toolkit.exporter_digest,
                    id=step_id("export_float", target.name),
                )
            except Exception as error:  # the next rung stands on the same file, and fails for the same reason
                self._parents[key] = error
        if isinstance(self._parents[key], Exception):
            raise self._parents[key]
        return self._parents[key]


def place_of(target: Target) -> Target:
    """Return the target without what does not change a measurement, so that a new budget measures nothing again."""
    return target.model_copy(update={"budget": Budget(), "ladder": None, "objective": None})


def step_id(*parts: str) -> str:
    """Name an invocation of a step, readable in the dashboard: 'compress_phone_ptq_w8a8_entropy'."""
    return "_".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)
