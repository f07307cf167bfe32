# SPDX-License-Identifier: Apache-2.0
"""ExecuTorch: lowers PyTorch models to .pte files, and executes those of the XNNPACK delegate on the processor.

Files of the Vulkan and Core ML delegates are only lowered here: what executes them is on phones. Toolkits are imported
when needed, and of ExecuTorch's backends only the one asked for: importing Qualcomm's starts a download.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.config.base import Config
from edgewright.config.file_passes import PtqW8A8
from edgewright.integrations.runtimes.executorch import program
from edgewright.integrations.runtimes.executorch.delegates import Delegate
from edgewright.integrations.runtimes.executorch.session import ExecuTorchSession, open_session
from edgewright.integrations.runtimes.executorch.signature import inspect
from edgewright.runtime import Array, FilePass, Onboard, PassRequest, Runtime, Signature


class ExecuTorch(Runtime):
    """Executes .pte files on the processor."""

    name: ClassVar[str] = "executorch"
    format: ClassVar[str] = "pte"
    suffix: ClassVar[str] = ".pte"
    requires: ClassVar[tuple[str, ...]] = ("executorch", "executorch.runtime", "torchao")
    runs_with: ClassVar[tuple[str, ...]] = ("executorch.runtime",)
    onboard: ClassVar[Onboard] = Onboard(
        (open_session.__module__, program.__name__, "edgewright.quiet"), "pip install executorch torch"
    )
    install: ClassVar[str] = "pip install 'edgewright[torch,executorch]'"
    takes_quantized: ClassVar[bool] = True
    converts_models: ClassVar[bool] = True
    channel_multiple: ClassVar[int] = 8  # XNNPACK's kernels take 8 channels at a time on ARM, and 8 or 16 on x86

    class Options(Config):
        """Options in `targets[].options`."""

        delegate: Delegate = "xnnpack"
        """What executes the file: 'xnnpack' on processors; 'vulkan' on Android's graphics processors and 'coreml' on Apple's
        devices, both of which are lowered here and run elsewhere."""

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static quantization of the model that the file was exported from, for the XNNPACK delegate."""
        return {PtqW8A8: _to_static}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write the model as a .pte file with a batch of one, as much of it as possible in the hands of the delegate.

        Raises:
            ExportError: torch or ExecuTorch refused the model, or the delegate took none of its operators.
            ToolkitMissing: the delegate's own toolkit is not installed.
        """
        from edgewright.integrations.runtimes.executorch.lower import export

        export(model, example, out, options.delegate)  # type: ignore[attr-defined]

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write a model that was trained with its quantization, for the XNNPACK delegate; inputs and outputs stay float32.

        Raises:
            ExportError: the toolkit refused the model, left a layer in float, or another delegate is asked for.
        """
        from edgewright.integrations.runtimes.executorch.lower import export_quantized

        export_quantized(model, example, out, options.delegate)  # type: ignore[attr-defined]

    def why_not_here(self, options: Config) -> str:
        """Say of files for Vulkan and Core ML that nothing on this machine executes them."""
        delegate: Delegate = options.delegate  # type: ignore[attr-defined]
        if delegate == "xnnpack":
            return ""
        return f"ExecuTorch's delegate {delegate!r} is lowered here and cannot run here: its outputs and its speed are unknown"

    def inspect(self, file: Path) -> Signature:
        """Read shapes and dtypes, and the quantization step behind float outputs. The format has no names for tensors.

        Raises:
            ExportError: the file is not a whole, valid .pte file.
        """
        return inspect(file)

    def load(self, file: Path, threads: int) -> ExecuTorchSession:
        """Load a file once, with ``threads`` threads for the whole process.

        Raises:
            ExportError: a delegate or an operator of the file is not installed here (it is named), or another file is open
                in this process with another number of threads.
        """
        return open_session(file, threads)


def _to_static(request: PassRequest) -> dict[str, Any]:
    from edgewright.integrations.runtimes.executorch.static import to_static

    return to_static(request)
