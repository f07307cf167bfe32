# SPDX-License-Identifier: Apache-2.0
"""Numbers and names as people read them: kB, ms, µs, %, intervals, and `unknown` for what nobody took.

Sizes are SI (1 kB = 1000 bytes). A share is shown in per cent, a difference of shares in percentage points (pp).
"""

import math

from edgewright.artifact import TensorSpec
from edgewright.gate.verdict import Finding
from edgewright.measure import THROUGHPUT, DeviceFacts, Measurement

UNKNOWN = "unknown"
#: What nobody took is listed as unknown; these are the quantities every artifact is asked for, beside its metric.
QUANTITIES = {
    "size_bytes": "Size",
    "latency_p50_ms": "Latency, median",
    "latency_p95_ms": "Latency, p95",
    "latency_p99_ms": "Latency, p99",
    "peak_memory_bytes": "Peak memory",
}
#: What only some runtimes or compilers tell.
FURTHER = {
    "cold_start_ms": "Cold start",
    "energy_mj": "Energy, one inference",
    "soak_drift": "Drift over the soak",
    "latency_ms": "Latency, one inference",
    "npu_cycles": "NPU cycles",
    "flash_bytes": "Flash for constants",
    "dram_bytes": "DRAM",
}
_LIMITS = {
    "max_accuracy_drop": "accuracy drop",
    "min_class_accuracy": "worst class",
    "latency_p50_ms": "median latency",
    "latency_p95_ms": "p95 latency",
    "latency_p99_ms": "p99 latency",
    "size_bytes": "size",
    "peak_memory_bytes": "peak memory",
    "energy_mj": "energy",
}
_UNIT_OF_RULE = {"worst_class": "fraction", "latency": "ms", "size": "bytes", "memory": "bytes", "energy": "mJ"}


def named(name: str) -> str:
    """Write the name of a measurement: 'throughput_b8' as 'Throughput, batches of 8'; a metric's stays as it is."""
    if name.startswith(THROUGHPUT):
        return f"Throughput, batches of {name.removeprefix(THROUGHPUT)}"
    return (QUANTITIES | FURTHER).get(name, name)


def quantity(value: float | None, unit: str) -> str:
    """Write a value with its unit: 78412 bytes as '78.4 kB', 0.412 ms as '412 µs', fraction 0.976 as '97.60 %'."""
    if value is None:
        return UNKNOWN
    factor, symbol = _scale(value, unit)
    return f"{_digits(value * factor, symbol)} {symbol}".rstrip()


def interval(measurement: Measurement) -> str:
    """Write the interval in the scale of the value: '[95.74, 98.66] %'; empty where there is none."""
    low, high = measurement.low, measurement.high
    if low is None and high is None:
        return ""
    factor, symbol = _scale(measurement.value, measurement.unit)
    ends = ["" if end is None else _digits(end * factor, symbol) for end in (low, high)]
    text = f"[{ends[0]}, {ends[1]}]" if all(ends) else f"≥ {ends[0]}" if ends[0] else f"≤ {ends[1]}"
    return f"{text} {symbol}".rstrip()


def level(measurement: Measurement) -> str:
    """Write the confidence level of the interval: '95 %'; empty where there is none."""
    return "" if measurement.confidence is None else f"{measurement.confidence * 100:g} %"


def times(measurement: Measurement) -> str:
    """Write a ratio of artifact to float parent: '×0.27'."""
    return f"×{_digits(measurement.value, '')}"


def difference(value: float, unit: str) -> str:
    """Write a signed difference: '−0.44 pp' for fractions, '+0.12 unit' for others."""
    if unit == "fraction":
        return f"{_signed(value * 100, 2)} pp"
    factor, symbol = _scale(value, unit)
    return f"{'−' if value < 0 else '+'}{_digits(abs(value) * factor, symbol)} {symbol}".rstrip()


def limit(name: str, value: float, metric_unit: str) -> str:
    """Write one limit of a budget: 'p95 latency ≤ 5.00 ms'."""
    words = _LIMITS.get(name, name)
    if name == "max_accuracy_drop":
        amount = f"{value * 100:g} pp" if metric_unit == "fraction" else quantity(value, metric_unit)
        return f"{words} ≤ {amount}"
    if name == "min_class_accuracy":
        return f"{words} ≥ {value * 100:g} %"
    unit = "bytes" if name.endswith("_bytes") else "ms" if name.endswith("_ms") else "mJ" if name.endswith("_mj") else ""
    return f"{words} ≤ {quantity(value, unit)}"


def judged(finding: Finding, value: float | None, metric_unit: str) -> str:
    """Write the number a rule judged, or its limit, in the unit the rule speaks; empty where there is none.

    Accuracy and champion speak of a loss: positive is worse.
    """
    if value is None:
        return ""
    unit = _UNIT_OF_RULE.get(finding.rule, "")
    if finding.rule in ("accuracy", "champion"):
        return f"{_digits(value * 100, '%')} pp" if metric_unit == "fraction" else quantity(value, metric_unit)
    return quantity(value, unit)


def machine(device: DeviceFacts) -> str:
    """Write what a measurement was taken on: 'Cortex-A76 (aarch64), 4 cores, Linux 6.6, 1 thread used'."""
    parts = [device.machine, plural(device.cores, "core"), device.os, f"{plural(device.threads, 'thread')} used"]
    if device.governor:
        parts.append(f"governor {device.governor}")
    if device.frequency_mhz:
        parts.append(f"{device.frequency_mhz:.0f} MHz")
    return ", ".join(parts)


def tensor(spec: TensorSpec) -> str:
    """Write an input or output as the file declares it: 'image · int8 · 1×8×8×1 NHWC · scale 0.0039, zero point -128'."""
    shape = "×".join("?" if size < 0 else str(size) for size in spec.shape)
    parts = [spec.name, spec.dtype, f"{shape} {spec.layout}".rstrip()]
    if spec.scale is not None:
        parts.append(f"scale {spec.scale:.4g}, zero point {spec.zero_point}")
    return " · ".join(parts)


def plain(words: str) -> str:
    """Keep of foreign words what prints: toolkits' and files' may hold line breaks and terminal control codes."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: '1 target', '3 targets'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _scale(value: float, unit: str) -> tuple[float, str]:
    size = abs(value)
    if not math.isfinite(size):
        size = 0.0
    if unit == "bytes":
        steps = [(1e3, 1.0, "B"), (1e6, 1e-3, "kB"), (1e9, 1e-6, "MB"), (math.inf, 1e-9, "GB")]
        return next((factor, symbol) for below, factor, symbol in steps if size < below)
    if unit == "ms":
        return (1e3, "µs") if 0 < size < 1 else (1.0, "ms") if size < 1e3 else (1e-3, "s")
    if unit == "fraction":
        return 100.0, "%"
    return 1.0, "" if unit == "ratio" else unit


def _digits(value: float, symbol: str) -> str:
    """Two decimals for per cent, whole bytes, three significant digits for the rest."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if symbol in ("%", "B"):
        text = f"{value:.{2 if symbol == '%' else 0}f}"
    else:
        size = abs(value)
        text = (
            f"{value:.0f}"
            if size >= 100
            else f"{value:.1f}"
            if size >= 10
            else f"{value:.2f}"
            if size >= 1
            else f"{value:.3f}"
            if size >= 0.1
            else f"{value:.3g}"
        )
    return text.replace("-", "−") if "e" not in text else text


def _signed(value: float, decimals: int) -> str:
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return f"±{text}"
    return f"{'−' if value < 0 else '+'}{text}"
