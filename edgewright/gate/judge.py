# SPDX-License-Identifier: Apache-2.0
"""The judgement on test data: all targets that look at it in the same round share what alpha that look may spend."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewright.config.gate import GateConfig
from edgewright.config.target import Target
from edgewright.gate.accuracy import non_inferior_to_baseline, non_inferior_to_champion
from edgewright.gate.fleet import worst_of
from edgewright.gate.parity import parity_findings
from edgewright.gate.verdict import Finding, Verdict
from edgewright.gate.worst_class import ClassCounts, worst_class, worst_class_p_value
from edgewright.stats.multiplicity import holm, spend
from edgewright.stats.paired import PairedDifference
from edgewright.validation import Parity

CARRIED = ("size", "latency", "memory", "energy", "sanity", "worth_it")
"""Rules that screening has answered: they do not depend on labels, and a second look at them would be a second chance."""


@dataclass(frozen=True)
class Look:
    """One target's artifact on test data."""

    target: Target
    difference: PairedDifference
    """Artifact against the float baseline."""
    champion: Mapping[str, PairedDifference]
    """Artifact against the champion, by batch of the data ('': it is one); empty when the place is free."""
    parity: Parity
    screening: Verdict
    """What it passed on validation data."""
    class_counts: ClassCounts = field(default_factory=dict)
    """By class name: samples the artifact answers right, and samples."""
    saturates: bool = False
    """Whether sums of 8-bit products saturate on the device."""


Fleet = Mapping[str, Look]
"""One target's artifact on each of its devices, by their names."""


def judge(looks: Mapping[str, Look | Fleet], config: GateConfig, look: int, looks_possible: int) -> dict[str, Verdict]:
    """Judge every target of this round.

    A target is promoted only if it passes all its rules on all its devices, so each is represented by the largest of its
    p-values (intersection-union test, Berger 1982), and Holm holds the family of targets at what this look may spend.

    Args:
        looks: by target name.
        config: alpha, power and margins.
        look: 1 for the first look at the test data.
        looks_possible: how many looks there can be at most.
    """
    fleets: dict[str, Fleet] = {name: {"": one} if isinstance(one, Look) else one for name, one in looks.items()}
    largest = {name: max(_p_value(one, config) for one in fleet.values()) for name, fleet in fleets.items()}
    levels = holm(largest, spend(config.alpha, look, looks_possible))
    return {name: _verdict(fleet, config, levels[name].level) for name, fleet in fleets.items()}


def _p_value(look: Look, config: GateConfig) -> float:
    budget = look.target.budget
    p_values = [look.difference.p_value(budget.max_accuracy_drop)]
    p_values += [difference.p_value(config.champion_margin) for difference in look.champion.values()]
    if budget.min_class_accuracy is not None:
        p_values.append(worst_class_p_value(look.class_counts, budget.min_class_accuracy))
    return max(p_values)


def _verdict(fleet: Fleet, config: GateConfig, level: float) -> Verdict:
    """The rules on test data by the worst device, and what screening, of all devices already, has answered."""
    judged = worst_of({device: Verdict(findings=_findings(one, config, level)) for device, one in fleet.items()})
    screened = next(iter(fleet.values())).screening.findings
    return Verdict(findings=(*judged.findings, *(finding for finding in screened if finding.rule in CARRIED)))


def _findings(look: Look, config: GateConfig, level: float) -> tuple[Finding, ...]:
    budget = look.target.budget
    findings: list[Finding] = [non_inferior_to_baseline(look.difference, budget, config, level)]
    if budget.min_class_accuracy is not None:
        findings.append(worst_class(look.class_counts, budget.min_class_accuracy, level, config.power))
    findings += [non_inferior_to_champion(one, config, level, batch) for batch, one in look.champion.items()]
    return (*findings, *parity_findings(look.parity, config.parity, look.saturates))
