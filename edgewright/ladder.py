# SPDX-License-Identifier: Apache-2.0
"""The ladder: which rungs of it can help a target, and why the others are not tried."""

from edgewright.config.recipe import Rung
from edgewright.runtime import Runtime


def why_not(rung: Rung, runtime: Runtime) -> str | None:
    """Say in a sentence why a rung cannot be tried on a runtime; None when it can."""
    lacking = [step.kind for step in rung.passes if not runtime.supports(step.kind)]
    if not lacking:
        return None
    return f"{runtime.name} cannot execute {' and '.join(lacking)}; it can: {able(runtime)}"


def able(runtime: Runtime) -> str:
    """List the passes a runtime can execute."""
    return ", ".join(sorted(config.model_fields["kind"].default for config in runtime.passes)) or "float files only"
