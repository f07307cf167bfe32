# SPDX-License-Identifier: Apache-2.0
"""A device's report as it travels: JSON with a schema, read from anybody. It is data from outside until all of it was checked.

`python -m edgewright.drift.report > docs/reference/drift-report.schema.json` writes the schema anew.
"""

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from edgewright.drift.kll import open_sketches
from edgewright.drift.reference import Reference
from edgewright.measure import Frozen
from edgewright.monitor.features import MOST_CLASSES, WIDEST
from edgewright.monitor.privacy import BUCKETS
from edgewright.report.text import plain

SCHEMA_ID = "urn:edgewright:drift-report:1"
#: bytes of a report; what is longer is not parsed
LONGEST = 1_000_000
#: samples of one device in one report: 100 a second for a day, and some more
MOST_SAMPLES = 10_000_000
#: a report covers no more than so many seconds
LONGEST_PERIOD = 31 * 86_400

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Count = Annotated[int, Field(ge=0, le=MOST_SAMPLES)]
#: seconds since 1970, UTC; the end is the year 2100
Time = Annotated[int, Field(ge=0, le=4_102_444_800)]


class SketchedFeature(Frozen):
    """One number of every sample."""

    n: Count = Field(description="Values.")
    missing: Count = Field(description="Samples without one: NaN or infinite.")
    kll: Annotated[str, StringConstraints(max_length=8192)] | None = Field(
        description="KLL sketch of floats as Apache DataSketches serializes it, base64 (CBOR: bytes); null without a value."
    )


class RandomizedFeature(Frozen):
    """One number of some of the samples, as randomized answers."""

    buckets: tuple[Count, ...] = Field(
        max_length=BUCKETS + 1, description="Answers by bucket of the training data; the last one is 'missing'."
    )


class DeviceReport(Frozen):
    """What one model has seen and answered on one device in one period."""

    schema_version: Literal[1]
    model: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(description="Digest of the artifact.")
    device: Name
    slice: Name
    sequence: Annotated[int, Field(ge=0, lt=2**53)] = Field(description="Higher than in every report of the device before.")
    start: Time = Field(description="Of the period, in seconds since 1970, UTC.")
    end: Time
    samples: Count
    epsilon: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] | None = Field(
        description="Of local differential privacy; null: sketches of every sample."
    )
    features: Annotated[dict[str, SketchedFeature | RandomizedFeature], Field(max_length=WIDEST + 64)]
    classes: Annotated[tuple[Count, ...], Field(max_length=MOST_CLASSES + 2)] | None = Field(
        description="How often each class was answered; null where the model is no classifier."
    )

    @property
    def missing(self) -> float:
        """Share of missing values, of the feature that misses most."""
        features = [one for one in self.features.values() if isinstance(one, SketchedFeature)]
        return max((one.missing / max(self.samples, 1) for one in features), default=0.0)


class Refused(ValueError):  # noqa: N818 - reads as what it is
    """A report that is not taken; the reason is one of a few, so that refusals can be counted."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, plain(detail)
        super().__init__(self.detail)


def parse(text: bytes) -> DeviceReport:
    """Read one report.

    Raises:
        Refused: it is too long, no JSON, or breaks the schema.
    """
    if len(text) > LONGEST:
        raise Refused("too long", f"{len(text)} bytes")
    try:
        return DeviceReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:80]
        broken = first["type"] in ("json_invalid", "recursion_loop")
        raise Refused("not JSON" if broken else "breaks the schema", f"{place}: {first['msg']}"[:200]) from None


def check(report: DeviceReport, reference: Reference, now: float, tolerance: float = 3600.0) -> None:
    """Hold a report against the reference of its model, and against itself.

    Args:
        report: as it was parsed.
        reference: of the report's model.
        now: seconds since 1970, UTC.
        tolerance: seconds by which a device's clock may be fast.

    Raises:
        Refused: it is from the future, counts what cannot be, or watches something else.
    """
    if report.end > now + tolerance:
        raise Refused("from the future", f"its period ends {report.end - now:.0f} s from now")
    if not 0 <= report.end - report.start <= LONGEST_PERIOD:
        raise Refused("period", f"it covers {report.end - report.start} s")
    if set(report.features) != set(reference.features):
        differing = sorted(set(report.features) ^ set(reference.features))
        raise Refused("other features", ", ".join(repr(name)[:40] for name in differing[:3]))
    _check_classes(report, reference)
    if report.epsilon is None:
        for name, feature in report.features.items():
            _check_counts(name, feature, report.samples)
    else:
        _check_answers(report, reference)


def sketches(report: DeviceReport) -> dict[str, Any]:
    """Open the sketches of a report that was checked, by feature; those without a value are left out.

    Raises:
        Refused: one of them is none.
    """
    held = {
        name: (one.kll, one.n)
        for name, one in report.features.items()
        if isinstance(one, SketchedFeature) and one.kll is not None
    }
    try:
        return dict(zip(held, open_sketches(list(held.values())), strict=True))
    except ValueError as error:
        raise Refused("broken sketch", str(error)) from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    page = DeviceReport.model_json_schema(mode="validation")
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": SCHEMA_ID, **page}


def _check_classes(report: DeviceReport, reference: Reference) -> None:
    known = len(reference.classes or ()) + (report.epsilon is not None and reference.classes is not None)
    if len(report.classes or ()) != known:
        raise Refused("other classes", f"{len(report.classes or ())} counts where there are {known}")
    if sum(report.classes or ()) > report.samples:
        raise Refused("counts", f"{sum(report.classes or ())} answers for {report.samples} samples")


def _check_counts(name: str, feature: SketchedFeature | RandomizedFeature, samples: int) -> None:
    if not isinstance(feature, SketchedFeature):
        raise Refused("breaks the schema", f"{name!r} is randomized, and there is no epsilon")
    if feature.n + feature.missing != samples:
        raise Refused("counts", f"{name!r} counts {feature.n + feature.missing} of {samples} samples")
    if (feature.kll is None) != (feature.n == 0):
        raise Refused("counts", f"{name!r} has {feature.n} values and {'no' if feature.kll is None else 'a'} sketch")


def _check_answers(report: DeviceReport, reference: Reference) -> None:
    answers = sum(report.classes or ())
    for name, feature in report.features.items():
        if not isinstance(feature, RandomizedFeature) or len(feature.buckets) != len(reference.features[name].buckets):
            raise Refused("breaks the schema", f"{name!r} has other buckets than the reference")
        answers += sum(feature.buckets)
    if answers != report.samples:
        raise Refused("counts", f"{answers} answers of {report.samples} samples")


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
