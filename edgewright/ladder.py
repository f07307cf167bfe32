# SPDX-License-Identifier: Apache-2.0
"""The ladder: which rungs of it can help a target, and why the others are not tried."""

from edgewright.config.model_passes import Prune
from edgewright.config.recipe import Rung
from edgewright.framework import Framework
from edgewright.runtime import Runtime


def why_not(rung: Rung, runtime: Runtime, framework: Framework) -> str | None:
    """Say in a sentence why a rung cannot be tried with a framework and a runtime; None when it can."""
    kinds = [kind_of(step) for step in rung.model_passes]
    lacking = [kind for kind in kinds if not framework.supports(kind)]
    if lacking and not framework.passes:
        return f"a release from a finished file ({framework.name}) has no live model for {' and '.join(lacking)}"
    if lacking:
        return f"{framework.name} cannot perform {' and '.join(lacking)}; it can: {able(framework)}"
    if "qat_w8a8" in kinds and not runtime.takes_quantized:
        return f"{runtime.name} takes no models trained with quantization (qat_w8a8)"
    lacking = [kind_of(step) for step in rung.file_passes if not runtime.supports(kind_of(step))]
    if lacking:
        return f"{runtime.name} cannot execute {' and '.join(lacking)}; it can: {able(runtime)}"
    if any(needs_target(step) for step in rung.model_passes) and runtime.latency_evidence != "measured":
        return (
            f"the latency of {runtime.name} is {runtime.latency_evidence or 'unknown'}: pruning to a latency has to measure it"
        )
    return None


def needs_target(step: object) -> bool:
    """Whether a model pass has to measure on the target, so that its result is that target's alone."""
    return isinstance(step, Prune) and step.of == "latency"


def able(plugin: Runtime | Framework) -> str:
    """List the passes a runtime or framework can perform."""
    return ", ".join(sorted(config.model_fields["kind"].default for config in plugin.passes)) or "float files only"


def kind_of(step: object) -> str:
    """The kind of a pass."""
    kind: str = step.kind  # type: ignore[attr-defined]  # every pass has it; a base class cannot declare a Literal
    return kind
