# SPDX-License-Identifier: Apache-2.0
"""The recorded device: lays out what a board has to run, and takes what was handed in for exactly that, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.bench import bench_of
from edgewright.config import Measuring, Target
from edgewright.config.base import Config
from edgewright.device import Device, ProbePlan
from edgewright.errors import DeviceError
from edgewright.integrations.devices.recorded import RecordedDevice
from edgewright.onboard.digest import sha256_of
from edgewright.testing.device_contract import IMAGES, INT8, AddingRuntime, DeviceContract, adding

ADDING = "edgewright.testing.device_contract:AddingRuntime"


def options_of(folder: Path, **keys: Any) -> Config:
    own = {"folder": str(folder / "board"), "board": "nucleo", "machine": "Cortex-M4 at 120 MHz"}
    return RecordedDevice.Options.model_validate(own | keys)


def probe(folder: Path, tensor: Any = INT8, device: Device | None = None, **plan: Any) -> Any:
    file = folder / "model.json"
    if not file.exists():
        AddingRuntime().export(1.0, IMAGES, file, Config())
    options = options_of(folder, **{key: plan.pop(key) for key in ("samples",) if key in plan})
    asked = ProbePlan.model_validate({"runtime": ADDING, "outputs": True} | plan)
    return (device or RecordedDevice()).probe(file, adding(tensor), IMAGES, asked, options)


def laid_out(folder: Path, **plan: Any) -> Path:
    """Ask for outputs that nobody handed in yet; return where they are wanted."""
    with pytest.raises(DeviceError, match=r"outputs of nucleo for 7 samples were not handed in yet[\s\S]*outputs\.npz") as told:
        probe(folder, **plan)
    return Path(told.value.where)


def board(place: Path) -> tuple[Any, Any]:
    """What the board does: adds what the file says to each input, in the input's own type."""
    constant = float(json.loads((place.parent / "model.json").read_text()))
    with np.load(place / "inputs.npz", allow_pickle=False) as given:
        return given["id"], (given["inputs"] + constant).astype(given["inputs"].dtype)


def hand_in(place: Path, ids: Any, outputs: Any) -> None:
    np.savez(place / "outputs.npz", id=ids, outputs=outputs)


def hand_in_table(place: Path, ids: Any, outputs: Any) -> None:
    rows = [",".join([name, *(str(value) for value in row.ravel())]) for name, row in zip(ids, outputs, strict=True)]
    (place / "outputs.csv").write_text("\n".join([",".join(["id", *map(str, range(outputs[0].size))]), *rows]))


class TestRecordedDevice(DeviceContract):
    @pytest.fixture(autouse=True)
    def _in(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def device(self) -> Device:
        return RecordedDevice()

    def options(self) -> Config:
        return options_of(self.folder)

    def probe(self, folder: Path, *arguments: Any, **plan: Any) -> Any:
        try:
            super().probe(folder, *arguments, **plan)
        except DeviceError as told:
            if "not handed in" in told.what:
                hand_in(Path(told.where), *board(Path(told.where)))
        if plan.get("invocations"):
            for model in (folder / "board").iterdir():
                (model / "latencies.csv").write_text("latency_ms\n" + "1.5\n" * plan["invocations"])
        return super().probe(folder, *arguments, **plan)


@pytest.mark.parametrize("hand", [hand_in, hand_in_table])
def test_outputs_are_taken_as_the_file_stores_them(tmp_path: Path, hand: Callable[..., None]) -> None:
    place = laid_out(tmp_path)
    ids, outputs = board(place)
    assert outputs.dtype == np.int8
    hand(place, ids, outputs)
    answered = probe(tmp_path)[1]
    np.testing.assert_allclose(answered, (outputs.reshape(7, -1).astype(np.float32) + 3) * 0.05, rtol=1e-6)


def log_of(place: Path, step: int = 1) -> str:
    """A log as the MLPerf Tiny runner writes it, of the samples that were laid out for it."""
    lines = ["name%", "RX:m-ready"]
    names = [line.split(",")[0] for line in (place / "y_labels.csv").read_text().splitlines()]
    for number, name in enumerate(names[::step]):
        content = (place / name).read_bytes()
        lines += [f"dut db load {len(content)}%", f"RX:m-dut-passthrough(db load {len(content)})"]
        for part in (content[:31], content[31:]):
            lines += [f"dut db {part.hex()}%", f"RX:m-dut-passthrough(db {part.hex()})", "RX:[dut]: m-ready"]
        values = ",".join(f"{value:.3f}" for value in (np.frombuffer(content, np.int8) + 4.0) * 0.05)
        lines += ["dut infer 1%", "RX:m-dut-passthrough(infer 1)", "RX:[dut]: m-infer-start-1"]
        lines += [f"RX:[dut]: m-lap-us-{1000 * number}", f"RX:[dut]: m-lap-us-{1000 * number + 250}"]
        lines += [f"RX:[dut]: m-results-[{values}]", "RX:[dut]: m-ready"]
    return "\n".join(lines)


def test_a_log_of_the_mlperf_tiny_runner_gives_outputs_and_latencies(tmp_path: Path) -> None:
    place = laid_out(tmp_path, samples="bin")
    log = log_of(place)
    (place / "outputs.log").write_text(log)
    (place.parent / "latencies.log").write_text(log)
    facts, outputs = probe(tmp_path, samples="bin", invocations=1)
    stored = np.frombuffer(b"".join(file.read_bytes() for file in sorted(place.glob("*.bin"))), np.int8).reshape(7, -1)
    np.testing.assert_allclose(outputs, (stored + 4.0) * 0.05, atol=1e-3)
    assert facts.latencies_ms == (0.25,) * 7


BAD: dict[str, tuple[Callable[[Path, Any, Any], None], str]] = {
    "another order": (lambda place, ids, out: hand_in(place, ids[::-1], out[::-1]), "in another order than those laid out"),
    "other samples": (lambda place, ids, out: hand_in(place, [*ids[:6], "000006-0123456789ab"], out), "other samples .*row 6"),
    "too few": (lambda place, ids, out: hand_in_table(place, ids[:5], out[:5]), "5 samples were answered, 7 were laid out"),
    "real values": (lambda place, ids, out: hand_in(place, ids, out * 0.05), "not int8, as the file stores them"),
    "beyond int8": (lambda place, ids, out: hand_in_table(place, ids, out.astype(int) + 200), "not int8, as the file"),
    "another shape": (lambda place, ids, out: hand_in(place, ids, out[:, :2]), r"outputs have the shape"),
    "no ids": (lambda place, ids, out: np.savez(place / "outputs.npz", outputs=out), "cannot be read"),
    "pickled": (lambda place, ids, out: hand_in(place, ids, np.array([{}] * 7)), "cannot be read"),
    "cut short": (lambda place, ids, out: (place / "outputs.npz").write_bytes(b"PK\x03\x04"), "cannot be read"),
    "larger than can be": (lambda place, ids, out: hand_in(place, ids, np.zeros(10**6)), "holds more than outputs of 7"),
    "no number": (lambda place, ids, out: hand_in_table(place, ids, np.array([["cat"]] * 7)), "'cat' is not a number"),
    "ragged": (lambda place, ids, out: (place / "outputs.csv").write_text("id,0\na,1\nb,1,2\n"), "different numbers of values"),
    "twice": (lambda place, ids, out: (hand_in(place, ids, out), hand_in_table(place, ids, out))[0], "were both handed in"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_the_answer_to_these_samples_is_refused(tmp_path: Path, case: str) -> None:
    place = laid_out(tmp_path)
    wrong, said = BAD[case]
    wrong(place, *board(place))
    with pytest.raises(DeviceError, match=said):
        probe(tmp_path)


def test_a_log_in_another_order_or_cut_short_is_refused(tmp_path: Path) -> None:
    place = laid_out(tmp_path, samples="bin")
    (place / "outputs.log").write_text(log_of(place, step=-1))
    with pytest.raises(DeviceError, match="in another order"):
        probe(tmp_path, samples="bin")
    (place / "outputs.log").write_text("dut db load 72%\ndut db 0102%\ndut infer 1%\n")
    with pytest.raises(DeviceError, match="2 of 72 bytes of a sample were sent"):
        probe(tmp_path, samples="bin")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("latencies.csv", "seconds\n1\n", "first line is not 'latency_ms'"),
        ("latencies.csv", "latency_ms\n1\n-2\n", "not positive"),
        ("latencies.log", "dut db load 1%\ndut db 00%\ndut infer 10 0%\nm-lap-us-0\nm-lap-us-99\n", "10 inferences in one go"),
    ],
)
def test_what_are_no_latencies_of_single_inferences_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    model = laid_out(tmp_path).parent
    (model / name).write_text(text)
    with pytest.raises(DeviceError, match=said):
        probe(tmp_path, invocations=1, outputs=False)


def test_latencies_that_nobody_took_are_unknown(tmp_path: Path) -> None:
    assert probe(tmp_path, invocations=5, outputs=False)[0].latencies_ms == ()


def test_answers_to_an_earlier_file_are_not_taken_for_those_of_the_next(tmp_path: Path) -> None:
    place = laid_out(tmp_path)
    hand_in(place, *board(place))
    (tmp_path / "model.json").write_text("2.0")
    assert laid_out(tmp_path) != place


def test_the_facts_name_what_was_handed_in_by_its_digest(tmp_path: Path) -> None:
    device, place = RecordedDevice(), laid_out(tmp_path)
    before = device.state(options_of(tmp_path))
    hand_in(place, *board(place))
    probe(tmp_path, device=device)
    file = place / "outputs.npz"
    facts = device.facts(1, options_of(tmp_path))
    assert facts.handed_in == {str(file.relative_to(tmp_path / "board")): sha256_of(file)}
    assert device.state(options_of(tmp_path)) != before  # what was answered from other files is not kept


def test_a_board_measures_what_is_only_emulated_here(tmp_path: Path) -> None:
    keys = {"folder": str(tmp_path), "board": "coral", "machine": "Edge TPU"}
    bench = bench_of(Target(name="a", runtime="edgetpu", device="recorded", device_options=keys), Measuring(processes=3))
    assert {bench.output_evidence, bench.latency_evidence, bench.memory_evidence} == {"measured"}
    assert bench.timed
    assert bench.processes == 1
