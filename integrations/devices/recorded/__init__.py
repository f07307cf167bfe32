# SPDX-License-Identifier: Apache-2.0
"""A board that the pipeline cannot reach: what it has to run is laid out in a folder, and what it answered is read from there.

What is laid out is named by its content, and each sample has an id; outputs of other samples, or in another order, are
refused. The sha256 of every file that was handed in goes into the facts of the device.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import DeviceError, EdgewrightError
from edgewright.integrations.devices.recorded import answers, handout
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.digest import sha256_of
from edgewright.onboard.preprocess import prepare
from edgewright.onboard.probe import as_device_error
from edgewright.onboard.run import as_answers
from edgewright.onboard.tensors import quantize_input
from edgewright.plugins import create


class RecordedDevice(Device):
    """A board whose outputs and timings are handed in as files."""

    name: ClassVar[str] = "recorded"
    evidence: ClassVar[Evidence] = "measured"
    recorded: ClassVar[bool] = True

    class Options(Config):
        """Options in `targets[].device_options`."""

        folder: str
        """Where files and samples are laid out, and outputs and timings are handed in."""
        board: str
        """Its name, such as 'nucleo-l4r5zi'."""
        machine: str
        """Its processor, such as 'Cortex-M4 at 120 MHz'."""
        os: str = "none"
        """What runs on it beside the model, such as 'Zephyr 4.2'."""
        cores: Annotated[int, Field(gt=0)] = 1
        samples: Literal["npz", "bin"] = "npz"
        """How samples are laid out: one inputs.npz; or a .bin file each and y_labels.csv, for the MLPerf Tiny runner."""

    def __init__(self) -> None:
        self._used: dict[str, str] = {}
        """The sha256 of what was handed in and used, by its path in the folder."""

    def facts(self, threads: int, options: Config) -> DeviceFacts:
        """Describe the board as the options do, with the digests of all that was used of it so far."""
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        return DeviceFacts(
            name=options.board,
            kind=self.name,
            machine=options.machine,
            cores=options.cores,
            os=options.os,
            threads=threads,
            handed_in=self._used,
        )

    def state(self, options: Config) -> str:
        """Digest everything that was handed in."""
        assert isinstance(options, self.Options)  # noqa: S101 - as above
        folder = Path(options.folder)
        found = sorted(file for name in answers.HANDED_IN for file in folder.rglob(name) if file.is_file())
        return hashlib.sha256("".join(f"{file.relative_to(folder)} {sha256_of(file)}\n" for file in found).encode()).hexdigest()

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Answer from what was handed in; lay out what is to be run where nothing was.

        Raises:
            DeviceError: outputs were not handed in yet (it says where, and what to do), or they are damaged, of other
                samples, in another order, or not as the file stores them.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - as above
        try:
            runtime = create("runtimes", plan.runtime)
            runtime.inspect(file)  # a board's time is not spent on a file that is broken
        except EdgewrightError as error:
            raise as_device_error(error) from error
        model = handout.lay_out_model(Path(options.folder), runtime.files(file))
        latencies = self._latencies(model, options) if plan.invocations else ()
        return ProbeFacts(latencies_ms=latencies), self._outputs(model, manifest, inputs, options) if plan.outputs else None

    def _latencies(self, model: Path, options: Options) -> tuple[float, ...]:
        """Those that were handed in, however many; none where nobody took them."""
        found = answers.handed_in(model, answers.LATENCIES)
        if found is None:
            return ()
        self._use(found, options)
        return answers.read_latencies(found)

    def _outputs(self, model: Path, manifest: ArtifactManifest, stored: NDArray[Any], options: Options) -> NDArray[Any]:
        spec = manifest.inputs[0]
        prepared = prepare(np.asarray(stored), manifest.preprocessing, spec.layout)
        ready = np.ascontiguousarray(quantize_input(prepared, spec))
        samples = handout.lay_out_samples(model, ready, manifest.outputs[0], options.samples)
        found = answers.handed_in(samples, answers.OUTPUTS)
        if found is None:
            what = "inputs.npz" if options.samples == "npz" else "the .bin files"
            raise DeviceError(
                f"outputs of {options.board} for {len(ready):,} samples were not handed in yet; what it has to run is laid out",
                where=str(samples),
                to_do=f"run the file on the board over {what}, put {' or '.join(answers.OUTPUTS)} there, then run this again",
            )
        self._use(found, options)
        raw, real = answers.read_outputs(found, handout.ids_of(ready), manifest)
        if real:
            plain = manifest.outputs[0].model_copy(update={"scale": None})
            manifest = manifest.model_copy(update={"outputs": (plain, *manifest.outputs[1:])})
        return as_answers(raw, prepared, manifest)

    def _use(self, file: Path, options: Options) -> None:
        self._used[file.relative_to(options.folder).as_posix()] = sha256_of(file)
