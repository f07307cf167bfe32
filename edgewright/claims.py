# SPDX-License-Identifier: Apache-2.0
"""Is an exported file what its manifest claims? A device trusts the manifest blindly, so a wrong claim is a wrong answer."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import Artifact, TensorSpec
from edgewright.config.data import Preprocessing
from edgewright.errors import ExportError
from edgewright.onboard.preprocess import prepare, sample_rank
from edgewright.runtime import Runtime


def check_claims(artifact: Artifact, runtime: Runtime, stored: NDArray[Any]) -> None:
    """Hold the file against its manifest, and the samples against the file.

    Raises:
        ExportError: a shape, dtype, layout or scale differs, or the file cannot be read.
        StoreError: a file of the artifact is missing or was changed.
    """
    Artifact.open(artifact.path)
    declared, manifest = runtime.inspect(artifact.main_file), artifact.facts
    for kind, claims, found in (
        ("input", manifest.inputs, declared.inputs),
        ("output", manifest.outputs, declared.outputs),
    ):
        if len(claims) != len(found):
            raise _wrong(artifact, f"the file has {len(found)} {kind}s, its manifest claims {len(claims)}")
        for claim, actual in zip(claims, found, strict=True):
            if kind == "input" and not takes(actual, stored, manifest.preprocessing):
                # most formats declare no layout: what is read there is a custom, and this file has the other one
                actual = actual.model_copy(update={"layout": claim.layout})
            _check_tensor(artifact, kind, claim, actual)
    entry = manifest.inputs[0]
    if not takes(entry, stored, manifest.preprocessing):
        sample = prepare(np.asarray(stored[:1]), manifest.preprocessing, entry.layout).shape[1:]
        raise _wrong(
            artifact,
            f"prepared in layout {entry.layout}, a sample has the shape {sample}; the file's input wants {entry.shape[1:]}",
            "check data.preprocessing.layout: height, width and channels may be swapped",
        )


def takes(entry: TensorSpec, stored: NDArray[Any], preprocessing: Preprocessing) -> bool:
    """Whether a sample, prepared in the layout of an input, has the shape that the input wants."""
    if len(entry.layout) != sample_rank(stored[:1], preprocessing) + 1:
        return False
    sample, wanted = prepare(np.asarray(stored[:1]), preprocessing, entry.layout).shape[1:], entry.shape[1:]
    return len(sample) == len(wanted) and all(want in (-1, have) for have, want in zip(sample, wanted, strict=True))


def _check_tensor(artifact: Artifact, kind: str, claim: TensorSpec, actual: TensorSpec) -> None:
    name = f"{kind} {claim.name!r}"
    if actual.dtype != claim.dtype:
        raise _wrong(artifact, f"{name} of the file is {actual.dtype}, its manifest claims {claim.dtype}")
    for what in ("name", "shape", "layout"):
        have, want = getattr(actual, what), getattr(claim, what)
        if have != want:
            raise _wrong(artifact, f"{what} of {name} is {have!r} in the file, its manifest claims {want!r}")
    scales = actual.scale, claim.scale
    same = scales == (None, None) or (None not in scales and math.isclose(scales[0] or 0, scales[1] or 0, rel_tol=1e-6))
    if not same or actual.zero_point != claim.zero_point:
        raise _wrong(
            artifact,
            f"{name} of the file has scale {actual.scale} and zero point {actual.zero_point}, "
            f"its manifest claims {claim.scale} and {claim.zero_point}",
        )


def _wrong(artifact: Artifact, what: str, to_do: str = "") -> ExportError:
    to_do = to_do or "export it again: a device that trusts this manifest feeds or reads the file wrongly"
    return ExportError(what, where=f"{artifact.facts.recipe}, {artifact.main_file.name}", to_do=to_do)
