# SPDX-License-Identifier: Apache-2.0
"""The verdict on a fleet: none, watch or drift, with false alarms at a stated rate.

Every feature of every group is one test; Holm's correction over all of them keeps the probability that a check raises any
false alarm to alpha, however the tests depend on each other. So in 100 daily checks there are at most 100 alpha false alarms on
average, whatever one day has in common with the next (docs/explanation/drift.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from edgewright import __version__
from edgewright.config.drift import DriftLevels
from edgewright.drift.compare import Distance, Picture, compare_numbers, compare_shares, picture_of
from edgewright.drift.facts import DriftFacts, DriftVerdict, FeatureDrift, GroupDrift, Shares
from edgewright.drift.fleet import Fleet, Group
from edgewright.drift.reference import Reference
from edgewright.monitor.privacy import edges_of
from edgewright.report.facts import CheckResult
from edgewright.stats.multiplicity import HolmLevel, holm

#: name of the counts of classes among the features
CLASSES = "classes"
_ORDER: tuple[DriftVerdict, ...] = ("none", "watch", "drift")
#: one feature of one group
_Test = tuple[int, str]


class Decided(NamedTuple):
    """What a test has shown."""

    distance: Distance
    level: float
    """Of Holm's correction: the p-value was held against it."""
    verdict: DriftVerdict


def judge(
    fleet: Fleet, references: Mapping[str, Reference], levels: DriftLevels, checks: Sequence[CheckResult], name: str
) -> DriftFacts:
    """Hold every group against the reference of its model.

    Args:
        fleet: merged reports.
        references: by the model's digest.
        levels: alpha and what is material.
        checks: rules that the reports were held against.
        name: of the check.
    """
    decided = decide(fleet, references, levels)
    groups = [_group(index, group, references[group.model], decided) for index, group in enumerate(fleet.groups)]
    return DriftFacts(
        edgewright=__version__,
        name=name,
        now=datetime.fromtimestamp(fleet.now, UTC).isoformat(timespec="seconds"),
        verdict=worst(group.verdict for group in groups),
        alpha=levels.alpha,
        material=levels.material,
        max_device_share=levels.max_device_share,
        tests=len(decided),
        references={reference.target: reference.model for reference in references.values()},
        reports=len(fleet.heads),
        old=fleet.old,
        refused=fleet.refused,
        examples=fleet.examples,
        checks=tuple(checks),
        groups=tuple(groups),
    )


def decide(fleet: Fleet, references: Mapping[str, Reference], levels: DriftLevels) -> dict[_Test, "Decided"]:
    """Test every feature of every group, and say of each what it means, by the group's index and the feature's name."""
    distances = {
        (index, feature): distance
        for index, group in enumerate(fleet.groups)
        for feature, distance in _distances(group, references[group.model])
    }
    holms = _holm(distances, levels.alpha)
    return {
        test: Decided(distance, holms[test].level, _verdict(distance, holms[test], levels))
        for test, distance in distances.items()
    }


def worst(verdicts: Iterable[DriftVerdict]) -> DriftVerdict:
    """The worst of several verdicts; 'none' of none."""
    return max(verdicts, key=_ORDER.index, default="none")


def _distances(group: Group, reference: Reference) -> Iterable[tuple[str, Distance]]:
    for feature, merged in group.features.items():
        against = reference.features[feature]
        if merged.n + merged.missing < 1:
            continue
        if merged.buckets:
            yield feature, compare_shares(against.buckets, merged.buckets, group.epsilon)
        else:
            yield feature, compare_numbers(against, merged)
    if group.classes is not None and reference.classes is not None and sum(group.classes) >= 1:
        yield CLASSES, compare_shares(_trained(group, reference), group.classes, group.epsilon)


def _holm(distances: Mapping[_Test, Distance], alpha: float) -> dict[_Test, HolmLevel]:
    keys = {str(number): key for number, key in enumerate(distances)}
    levels = holm({number: distances[key].p_value for number, key in keys.items()}, alpha) if keys else {}
    return {keys[number]: level for number, level in levels.items()}


def _verdict(distance: Distance, holm_level: HolmLevel, levels: DriftLevels) -> DriftVerdict:
    if not holm_level.rejected:
        return "none"
    return "drift" if distance.size >= levels.material else "watch"


def _group(index: int, group: Group, reference: Reference, decided: Mapping[_Test, Decided]) -> GroupDrift:
    features = []
    for (of, name), one in decided.items():
        if of == index:
            merged = group.features.get(name)
            features.append(
                FeatureDrift(
                    name=name,
                    verdict=one.verdict,
                    level=one.level,
                    n=merged.n if merged else sum(group.classes or ()),
                    missing=merged.missing if merged else 0.0,
                    shares=_shares(name, group, reference),
                    **one.distance._asdict(),
                )
            )
    return GroupDrift(
        target=reference.target,
        verdict=worst(feature.verdict for feature in features),
        features=tuple(sorted(features, key=lambda one: (-_ORDER.index(one.verdict), one.p_value, -one.size))),
        **group.model_dump(include={"model", "slice", "epsilon", "window", "devices", "samples", "largest_share"}),
    )


def _shares(name: str, group: Group, reference: Reference) -> Shares:
    merged = group.features.get(name)
    if merged is not None and not merged.buckets:
        picture: Picture = picture_of(reference.features[name], merged)
        return Shares(edges=picture.edges, reference=picture.reference, devices=picture.group)
    if merged is not None:
        edges = [f"≤ {edge:.4g}" for edge in edges_of(reference.features[name].quantiles)]
        return _of_counts([*edges, "above", "missing"], reference.features[name].buckets, merged.buckets)
    names = [*reference.labels[: len(reference.classes or ())], "none"]
    return _of_counts(names, _trained(group, reference), group.classes or ())


def _trained(group: Group, reference: Reference) -> tuple[int, ...]:
    """Class counts of the reference; with randomized answers one more, for outputs that name no class."""
    return (*(reference.classes or ()), *([0] if group.epsilon else []))


def _of_counts(names: Sequence[str], reference: Sequence[float], devices: Sequence[float]) -> Shares:
    return Shares(
        names=tuple(names[: len(reference)]),
        reference=tuple(round(one / max(sum(reference), 1), 6) for one in reference),
        devices=tuple(round(one / max(sum(devices), 1), 6) for one in devices),
    )
