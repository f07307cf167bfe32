# SPDX-License-Identifier: Apache-2.0
"""What the run of a drift check holds."""

from edgewright.drift.facts import DriftFacts
from edgewright.integrations.services.mlflow.log import RunLog

DRIFT_FILES = ("drift.html", "drift.json")


def drift_log(facts: DriftFacts) -> RunLog:
    """Sizes and p-values by target, slice, window and feature; the verdict of each group as a tag."""
    log = RunLog(
        params={"alpha": str(facts.alpha), "material": str(facts.material), "max_device_share": str(facts.max_device_share)},
        tags={"edgewright.version": facts.edgewright, "edgewright.verdict": facts.verdict, "edgewright.now": facts.now},
    )
    log.metrics += [("reports", facts.reports, 0), ("refused", sum(facts.refused.values()), 0)]
    for group in facts.groups:
        path = f"{group.target}.{group.slice or 'all-devices'}.{group.window}{'.randomized' if group.epsilon else ''}"
        log.tags[f"edgewright.verdict.{path}"] = group.verdict
        log.metrics += [(f"{path}.devices", group.devices, 0), (f"{path}.samples", group.samples, 0)]
        for feature in group.features:
            values = {"size": feature.size, "p_value": feature.p_value, "psi": feature.psi, "js": feature.js}
            log.metrics += [(f"{path}.{feature.name}.{name}", value, 0) for name, value in values.items()]
    return log
