# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of an artifact (ML-BOM): CycloneDX 1.6, with a model card that holds the gate's numbers.

The library writes components, hashes and dependencies; it has no model card, which is added to its JSON by the words of the
schema (https://cyclonedx.org/docs/1.6/json/#components_items_modelCard).
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edgewright.artifact import Artifact
from edgewright.measure import Measurement
from edgewright.report.facts import ReleaseFacts
from edgewright.trust.verdict import ReleaseVerdict

_SUPERVISED = {"classification": "supervised", "regression": "supervised", "anomaly": "unsupervised"}
_SPACE = uuid.UUID("6f8d3b0a-5d0c-5b52-9d0e-8f3c6a1f2b47")  # of our own, so that serial numbers are the same each time


def bill_of_materials(facts: ReleaseFacts, verdict: ReleaseVerdict, artifact: Artifact, finished: datetime) -> bytes:
    """Write the bill as JSON, the same for the same input.

    Args:
        facts: the release.
        verdict: of the artifact for its target.
        artifact: what the bill is of.
        finished: when the release was recorded.
    """
    from cyclonedx.output.json import JsonV1Dot6

    page: dict[str, Any] = json.loads(JsonV1Dot6(_bom(facts, verdict, artifact, finished)).output_as_string())
    page["metadata"]["component"]["modelCard"] = _card(facts, verdict, artifact)
    return json.dumps(page, indent=1, sort_keys=True).encode()


def _bom(facts: ReleaseFacts, verdict: ReleaseVerdict, artifact: Artifact, finished: datetime) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType, Pedigree
    from packageurl import PackageURL

    def sha256(digest: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]

    def package(name: str, version: str, kind: ComponentType) -> Component:
        purl = PackageURL("pypi", name=name.lower(), version=version)
        return Component(name=name, version=version, type=kind, purl=purl, bom_ref=f"pypi/{name}")

    files = [
        Component(name=name, type=ComponentType.FILE, hashes=sha256(digest), bom_ref=f"file/{name}")
        for name, digest in artifact.files.items()
    ]
    runs = [package(name, version, ComponentType.LIBRARY) for name, version in verdict.minimum_versions.items()]
    tools = {"edgewright": facts.edgewright, **facts.toolchain, **artifact.facts.toolchain}
    data = Component(name=Path(facts.data.source).name, type=ComponentType.DATA, hashes=sha256(verdict.data), bom_ref="data")
    parent = facts.candidate.parent or ""
    started_from = Component(
        name=f"{facts.release} float baseline",
        version=parent[:12],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        description="training began from its weights (warm start)",
        hashes=sha256(parent),
    )
    model = Component(
        name=verdict.model,
        version=artifact.digest[:12],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        description=f"{verdict.recipe} for {verdict.target}, which runs {verdict.runtime}",
        hashes=sha256(artifact.digest),
        bom_ref="model",
        pedigree=Pedigree(ancestors=[started_from]) if parent else None,
    )
    metadata = BomMetaData(component=model, timestamp=finished)
    metadata.tools.components.update(package(name, version, ComponentType.APPLICATION) for name, version in tools.items())
    serial = uuid.uuid5(_SPACE, verdict.model_dump_json() + finished.isoformat())
    bom = Bom(components=[*files, *runs, data], metadata=metadata, serial_number=serial)
    bom.register_dependency(model, [*files, *runs, data])
    return bom


def _card(facts: ReleaseFacts, verdict: ReleaseVerdict, artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.facts
    taken = {"validation": verdict.validation, "test": verdict.test}
    metrics = [
        _metric(name, measurement, split)
        for split, run in taken.items()
        for name, measurement in sorted((run.measurements if run else {}).items())
    ]
    return {
        "modelParameters": {
            "approach": {"type": _SUPERVISED[manifest.task]},
            "task": manifest.task,
            "architectureFamily": facts.candidate.framework,
            "modelArchitecture": facts.candidate.model.title,
            "datasets": [{"ref": "data"}],
            "inputs": [{"format": _format(tensor.dtype, tensor.shape)} for tensor in manifest.inputs],
            "outputs": [{"format": _format(tensor.dtype, tensor.shape)} for tensor in manifest.outputs],
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {
            "technicalLimitations": [
                f"It was validated with these versions of what runs it, and no other: {_listed(verdict.minimum_versions)}.",
                *(f"{name} is unknown: {why}" for run in taken.values() if run for name, why in sorted(run.unknown.items())),
            ],
            "performanceTradeoffs": [f"{finding.rule}: {finding.reason}" for finding in verdict.findings],
        },
        "properties": [
            {"name": f"edgewright:calibration:{name}", "value": digest} for name, digest in sorted(verdict.calibration.items())
        ],
    }


def _metric(name: str, taken: Measurement, split: str) -> dict[str, Any]:
    """A measurement in the schema's words; it has none for unit, n and evidence, which so stand beside the value."""
    interval = {"lowerBound": taken.low, "upperBound": taken.high}
    ends = {key: f"{end:g}" for key, end in interval.items() if end is not None}
    return {
        "type": name,
        "value": f"{taken.value:g} {taken.unit} (n={taken.n}, {taken.evidence})",
        "slice": f"{split} data",
        **({"confidenceInterval": ends} if ends else {}),
    }


def _format(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype} {'×'.join(str(size) for size in shape)}"


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or "unknown"
