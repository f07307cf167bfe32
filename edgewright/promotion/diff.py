# SPDX-License-Identifier: Apache-2.0
"""Champion and challenger side by side: what was measured of each, what a client has to change, what each was made of."""

from dataclasses import dataclass
from typing import Literal

from edgewright.config.data import Preprocessing
from edgewright.measure import Measurement
from edgewright.report import shown, text
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts

Group = Literal["measured", "interface", "origin"]


@dataclass(frozen=True)
class Side:
    """One of the two."""

    title: str
    facts: ReleaseFacts
    target: TargetFacts

    @property
    def rung(self) -> RungFacts | None:
        """The rung that stands for it."""
        return shown.rung_of(self.target)


@dataclass(frozen=True)
class Row:
    """One line: what is compared, both sides as text (a number and, on a line of its own, how sure it is), and the change."""

    group: Group
    name: str
    champion: str
    challenger: str
    change: str
    """Difference or ratio; 'same' or 'differs' where it is no number."""


def compare(champion: Side, challenger: Side) -> list[Row]:
    """Compare two releases of a target."""
    names = dict.fromkeys([challenger.facts.metric, *text.QUANTITIES, *text.FURTHER])
    rows = [_measured(name, champion, challenger) for name in names if _taken(champion, name) or _taken(challenger, name)]
    rows += [_row("interface", name, a, b) for name, a, b in _pairs(_interface(champion), _interface(challenger))]
    rows += [_row("origin", name, a, b) for name, a, b in _pairs(_origin(champion), _origin(challenger))]
    return rows + _versions(champion.facts.toolchain, challenger.facts.toolchain)


def cautions(champion: Side, challenger: Side) -> list[str]:
    """Say why numbers of the two may not be comparable."""
    told = []
    if champion.facts.data_digest != challenger.facts.data_digest:
        told.append("The two were measured on different data: their scores do not compare.")
    runs = [shown.runs(side.rung) for side in (champion, challenger)]
    if all(runs) and runs[0][0].device != runs[1][0].device:
        told.append("The two were measured on different devices: their latencies do not compare.")
    elif all(runs):
        told.append("The two were measured in different runs: small differences of latency mean nothing.")
    return told


def _taken(side: Side, name: str) -> Measurement | None:
    return shown.measurement(side.rung, name)


def _measured(name: str, champion: Side, challenger: Side) -> Row:
    a, b = _taken(champion, name), _taken(challenger, name)
    change = ""
    if a and b and name == challenger.facts.metric:
        change = text.difference(b.value - a.value, b.unit)
    elif a and b and a.value:
        change = f"×{b.value / a.value:.3g}"
    return Row("measured", text.named(name), _number(a), _number(b), change)


def _number(one: Measurement | None) -> str:
    if one is None:
        return text.UNKNOWN
    return f"{text.quantity(one.value, one.unit)}\n" + f"{text.interval(one)} n={one.n}, {one.evidence}".strip()


def _row(group: Group, name: str, champion: str, challenger: str) -> Row:
    return Row(group, name, champion, challenger, "same" if champion == challenger else "differs")


def _pairs(champion: dict[str, str], challenger: dict[str, str]) -> list[tuple[str, str, str]]:
    names = dict.fromkeys([*champion, *challenger])
    return [(name, champion.get(name, text.UNKNOWN), challenger.get(name, text.UNKNOWN)) for name in names]


def _interface(side: Side) -> dict[str, str]:
    """What a client has to know to run the file: where it differs, the client changes too."""
    manifest = side.rung.manifest if side.rung else None
    if manifest is None:
        return {}
    tensors = {"Inputs": manifest.inputs, "Outputs": manifest.outputs}
    return {
        "Format": manifest.format,
        **{name: "; ".join(text.tensor(each) for each in specs) for name, specs in tensors.items()},
        "Preprocessing": _prepared(manifest.preprocessing),
        "Labels": ", ".join(manifest.labels) or "none",
    }


def _prepared(preprocessing: Preprocessing) -> str:
    given = preprocessing.model_dump(mode="json", exclude_defaults=True)
    return ", ".join(f"{key}={value}" for key, value in given.items()) or "none"


def _origin(side: Side) -> dict[str, str]:
    facts, rung = side.facts, side.rung
    return {
        "Verdict": side.target.outcome,
        "Recipe": rung.recipe if rung else text.UNKNOWN,
        "Model": facts.candidate.model.title,
        "Data": facts.data_digest[:12],
        "Code": facts.code_digest[:12],
        "Artifact": (rung.artifact_digest if rung and rung.artifact_digest else text.UNKNOWN)[:12],
        "edgewright": facts.edgewright,
    }


def _versions(champion: dict[str, str], challenger: dict[str, str]) -> list[Row]:
    """The packages whose versions differ, a row each; the others are counted."""
    pairs = sorted(_pairs(champion, challenger))
    differing = [_row("origin", f"Version of {name}", a, b) for name, a, b in pairs if a != b]
    same = text.plural(len(pairs) - len(differing), "package")
    return [*differing, _row("origin", "Other versions" if differing else "Versions", same, same)]
