# SPDX-License-Identifier: Apache-2.0
"""Parity: the exported file against the float model on the same inputs. Each broken limit says what it usually means."""

import math

from edgewright.config.gate import ParityLimits
from edgewright.gate.verdict import Finding, Outcome
from edgewright.validation import Parity

LAYOUT_AGREEMENT, LAYOUT_CORRELATION = 0.5, 0.5
"""Below both, the file computes something else, not the same thing less exactly."""


_SATURATES = (
    " On this processor sums of products of uint8 activations and int8 weights saturate (x86-64 without VNNI). If the file "
    "has such, store weights as uint8, 128 steps up, or in 7 bits; or take onnxruntime, for which releases do so, or litert."
)


def parity_findings(parity: Parity, limits: ParityLimits, saturates: bool = False) -> list[Finding]:
    """Return a finding for each broken limit, or one pass.

    Args:
        parity: file against float model.
        limits: how far they may be from each other.
        saturates: sums of 8-bit products saturate on the device, which may be why.
    """
    broken = [*_broken_outputs(parity), *_out_of_range(parity, limits), *_scale(parity, limits), *_agreement(parity, limits)]
    if broken and saturates:
        return [*broken[:-1], broken[-1].model_copy(update={"reason": broken[-1].reason + _SATURATES})]
    if broken:
        return broken
    agreement = "" if parity.agreement is None else f", the same class in {100 * parity.agreement:.1f} %"
    reason = (
        f"File and float model agree on {parity.n} inputs: worst difference {100 * parity.relative_difference:.2g} % of the "
        f"output range{_lsb(parity)}{agreement}."
    )
    return [Finding(rule="parity", outcome="pass", reason=reason, value=parity.agreement, limit=limits.min_agreement)]


def _broken_outputs(parity: Parity) -> list[Finding]:
    findings = []
    if parity.not_finite:
        findings.append(_finding(f"{parity.not_finite} outputs are NaN or infinite: the numbers overflow in the file's type."))
    if parity.constant_outputs:
        which = ", ".join(map(str, parity.constant_outputs[:10]))
        findings.append(
            _finding(
                f"Outputs {which} do not depend on the input, though the float model's do: "
                "usually a calibration range that is far too wide, or a part of the network that was cut off."
            )
        )
    if parity.permutation is not None:
        findings.append(
            _finding(
                f"The file's outputs fit the float model's far better in the order {list(parity.permutation)}: "
                "the labels are permuted."
            )
        )
    return findings


def _out_of_range(parity: Parity, limits: ParityLimits) -> list[Finding]:
    findings = []
    if not parity.saturation <= limits.max_saturation:
        findings.append(
            _finding(
                f"{100 * parity.saturation:.2f} % of the outputs on {parity.n} inputs sit at an end of their quantized range "
                f"(max_saturation {100 * limits.max_saturation:g} %): the calibration range is too narrow; use more or more "
                "typical calibration samples, or minmax calibration.",
                parity.saturation,
                limits.max_saturation,
            )
        )
    if not parity.relative_difference <= limits.max_relative_difference:
        findings.append(
            _finding(
                f"The worst difference on {parity.n} inputs is {100 * parity.relative_difference:.3g} % of the float outputs' "
                f"range{_lsb(parity)} (max_relative_difference {100 * limits.max_relative_difference:g} %): "
                "some input meets a layer whose quantized range does not fit it.",
                parity.relative_difference,
                limits.max_relative_difference,
            )
        )
    return findings


def _scale(parity: Parity, limits: ParityLimits) -> list[Finding]:
    if parity.gain is None:
        reason = f"The outputs do not vary over {parity.n} inputs, so their scale cannot be checked: give more varied inputs."
        return [_finding(reason, outcome="inconclusive")]
    if abs(parity.gain - 1) <= limits.gain_tolerance:
        return []
    reason = (
        f"The file's outputs are {parity.gain:.3g} times the float model's (slope on {parity.n} inputs, gain_tolerance "
        f"{limits.gain_tolerance:g}): an output or input scale is wrong."
    )
    return [_finding(reason, parity.gain, 1 + math.copysign(limits.gain_tolerance, parity.gain - 1))]


def _agreement(parity: Parity, limits: ParityLimits) -> list[Finding]:
    if parity.agreement is None or parity.agreement >= limits.min_agreement:
        return []
    reason = (
        f"File and float model name the same class in {100 * parity.agreement:.1f} % of {parity.n} inputs "
        f"(min_agreement {100 * limits.min_agreement:g} %)"
    )
    correlation = parity.correlation or 0.0
    if parity.agreement < LAYOUT_AGREEMENT and correlation < LAYOUT_CORRELATION and parity.permutation is None:
        reason += f", and their outputs hardly correlate ({correlation:.2f}): usually a swapped layout or wrong preprocessing"
    return [_finding(reason + ".", parity.agreement, limits.min_agreement)]


def _lsb(parity: Parity) -> str:
    return "" if parity.worst_difference_lsb is None else f" ({parity.worst_difference_lsb:.3g} LSB)"


def _finding(reason: str, value: float | None = None, limit: float | None = None, outcome: Outcome = "fail") -> Finding:
    known = value if value is not None and math.isfinite(value) else None
    return Finding(rule="parity", outcome=outcome, reason=reason, value=known, limit=limit)
