# SPDX-License-Identifier: Apache-2.0
"""Sanity: faults of an exported file that need no float model to be seen. Each says what it usually means."""

from edgewright.config.gate import ParityLimits
from edgewright.gate.verdict import Finding, Outcome
from edgewright.sanity import COLLAPSED, ENOUGH, RARER
from edgewright.validation import Sanity

REPEATED = 1e-4
"""Largest difference of an answer from itself, as a share of the largest output: one file in one process repeats itself bit
by bit, and sums that several threads share are rounded at about 1e-6. A step of int8 is 0.004, and is no rounding here."""


def sanity_findings(sanity: Sanity, limits: ParityLimits, *, with_reference: bool = True) -> list[Finding]:
    """Return a finding for each fault, or one pass.

    Args:
        sanity: what was seen.
        limits: max_saturation holds where there is no float model to say whether outputs belong at their range's end.
        with_reference: whether parity judges saturation against a float model.
    """
    found = [*(_dead(sanity) or _collapsed(sanity)), *_changing(sanity)]  # what is dead names one class as well
    if not with_reference:
        found += _clipped(sanity, limits)
    return found or [_finding(_all_is_well(sanity), "pass")]


def _dead(sanity: Sanity) -> list[Finding]:
    if sanity.constant:
        return [
            _finding(
                f"All outputs of all {sanity.n} samples are one number: the graph is dead, usually by a scale of zero or an "
                "output that nothing writes."
            )
        ]
    if sanity.independent:
        return [
            _finding(
                f"The outputs are the same for all {sanity.n} samples, so they do not depend on the input: usually a part of "
                "the network was cut off, or a calibration range is far too wide."
            )
        ]
    if sanity.equals_input:
        return [
            _finding("The output is the input: the file was exported without its layers, or the device returned its input.")
        ]
    return []


def _collapsed(sanity: Sanity) -> list[Finding]:
    share, truly = sanity.top_share, sanity.expected_share
    if share is None or truly is None or sanity.n < ENOUGH or share < COLLAPSED or truly > RARER:
        return []
    reason = (
        f"The file names class {sanity.top_class} in {100 * share:.1f} % of {sanity.n} samples, where {100 * truly:.1f} % are "
        "expected: the classes have collapsed into one."
    )
    return [_finding(reason, value=share, limit=COLLAPSED)]


def _changing(sanity: Sanity) -> list[Finding]:
    difference = sanity.repeat_difference
    if difference is None or difference <= REPEATED * sanity.size:
        return []
    reason = (
        f"The same sample, run again after others, was answered otherwise (by up to {difference:.3g}): the file carries state "
        "from sample to sample, or reads memory that nothing wrote. Export it with its state as input and output."
    )
    return [_finding(reason, value=difference, limit=REPEATED * sanity.size)]


def _clipped(sanity: Sanity, limits: ParityLimits) -> list[Finding]:
    share = sanity.at_range_ends
    if share is None or share <= limits.max_saturation:
        return []
    reason = (
        f"{100 * share:.2f} % of the outputs sit at an end of their quantized range (max_saturation "
        f"{100 * limits.max_saturation:g} %): give --reference, to tell whether the float model's lie beyond it."
    )
    return [_finding(reason, "inconclusive", share, limits.max_saturation)]


def _all_is_well(sanity: Sanity) -> str:
    told = [f"Outputs of {sanity.n} samples depend on the input"]
    if sanity.top_share is not None:
        told.append(f"the commonest class has {100 * sanity.top_share:.1f} % of the answers")
    if sanity.repeat_difference is not None:
        told.append("samples run again are answered alike")
    return ", ".join(told) + "."


def _finding(reason: str, outcome: Outcome = "fail", value: float | None = None, limit: float | None = None) -> Finding:
    return Finding(rule="sanity", outcome=outcome, reason=reason, value=value, limit=limit)
