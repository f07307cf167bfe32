# SPDX-License-Identifier: Apache-2.0
"""What validating an exported file on a device brings back: measurements of it and of its float parent, and parity."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgewright.bundle import Bundle
from edgewright.config.data import SplitName
from edgewright.measure import DeviceFacts, Frozen, Measurement


class Parity(Frozen):
    """An exported file against the float model in its framework, on the same real inputs."""

    n: int
    agreement: float | None = Field(description="Share of samples with the same top-1 class; None where there are no classes.")
    worst_difference: float = Field(description="Largest absolute difference of any output.")
    worst_difference_lsb: float | None = Field(
        description="The same in quantization steps of the output; None for float outputs."
    )
    relative_difference: float = Field(description="worst_difference as a share of the float outputs' range.")
    saturation: float = Field(
        description="Share of outputs at an end of the quantized range while the float model's lie beyond it."
    )
    gain: float | None = Field(
        description="Slope of file against float outputs (least squares); 1 is right. None without variance."
    )
    correlation: float | None = Field(
        description="Correlation of file with float outputs over all values; None without variance."
    )
    constant_outputs: tuple[int, ...] = Field(
        description="Outputs that do not depend on the input, though the float model's do."
    )
    not_finite: int = Field(description="How many outputs are NaN or infinite.")
    permutation: tuple[int, ...] | None = Field(
        default=None, description="Order of the float model's outputs that fits the file's far better than the given one."
    )


class Sanity(Frozen):
    """What a file answers, held against nothing but its inputs and what is expected of any file."""

    n: int
    constant: bool = Field(default=False, description="All outputs of all samples are one number.")
    independent: bool = Field(default=False, description="Every output is the same for all samples.")
    equals_input: bool = Field(default=False, description="The output is the input.")
    top_class: int | None = Field(default=None, description="The class named most often; None where there are no classes.")
    top_share: float | None = Field(default=None, description="Its share of the answers.")
    expected_share: float | None = Field(
        default=None, description="Its share of the float model's answers, or without one of the labels."
    )
    at_range_ends: float | None = Field(
        default=None,
        description="Share of outputs at an end of their integer range, but for ends at 0, 1 and -1; None for float outputs.",
    )
    repeat_difference: float | None = Field(
        default=None,
        description="Largest difference of an output when a sample is run again after others; None where nobody tried.",
    )
    size: float = Field(default=0.0, description="Largest absolute output.")


class ValidationFacts(Frozen):
    """One artifact on one device and one split."""

    target: str
    recipe: str
    artifact: str = Field(description="Digest of the artifact.")
    split: SplitName
    measurements: dict[str, Measurement] = Field(
        description="By name: the metric, latency_p50_ms, latency_p95_ms, latency_p99_ms, size_bytes, cold_start_ms, "
        "peak_memory_bytes, energy_mj (one inference), throughput_b8 (samples a second in batches of 8), soak_drift "
        "(median latency at the end of a soak over that at its beginning), and what a compiler estimates: "
        "latency_ms (one inference), npu_cycles, flash_bytes, dram_bytes. "
        "What nobody took is absent."
    )
    parent: dict[str, Measurement] = Field(description="The float parent's, taken in turn with the artifact's.")
    ratios: dict[str, Measurement] = Field(description="Artifact over float parent, by the same names.")
    parity: Parity
    sanity: Sanity
    device: DeviceFacts
    unknown: dict[str, str] = Field(
        default_factory=dict, description="Why a number that was asked for was not taken, by its name."
    )
    notes: tuple[str, ...] = Field(default=(), description="What a person has to know of the numbers, such as throttling.")
    fleet: tuple["ValidationFacts", ...] = Field(
        default=(), description="The same of each device, where the target has several: then the facts above are their worst."
    )


class ValidationRun(Bundle[ValidationFacts]):
    """The facts, outputs.npy (float32 outputs of every sample of the split) and latencies.npz (ms, artifact and parent).

    Of a fleet: outputs.npy of the device with the worst metric, and outputs-<device>.npy of each.
    """

    Facts = ValidationFacts

    def outputs(self, device: str = "") -> NDArray[np.float32]:
        """Float32 outputs (N, …) of the file, in the split's order; of a fleet, those of one device."""
        name = f"outputs-{device}.npy" if device else "outputs.npy"
        array: NDArray[np.float32] = np.load(self.path / name, allow_pickle=False)
        return array

    def outputs_by_device(self) -> dict[str, NDArray[np.float32]]:
        """Outputs of each device of a fleet, by its name; of a single device, by the empty name."""
        names = [facts.device.name for facts in self.facts.fleet] or [""]
        return {name: self.outputs(name) for name in names}


class BaselineFacts(Frozen):
    """The float model in its framework, on validation and test data."""

    candidate: str = Field(description="Digest of the candidate.")
    parameters: int
    measurements: dict[SplitName, dict[str, Measurement]]


class Baseline(Bundle[BaselineFacts]):
    """The facts, and <split>_outputs.npy for validation and test: float32, what `edgewright.metrics` wants."""

    Facts = BaselineFacts

    def outputs(self, split: SplitName) -> NDArray[np.float32]:
        """Float32 outputs (N, …) of the float model, in the split's order."""
        array: NDArray[np.float32] = np.load(self.path / f"{split}_outputs.npy", allow_pickle=False)
        return array
