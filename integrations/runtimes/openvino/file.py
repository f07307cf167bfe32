# SPDX-License-Identifier: Apache-2.0
"""IR files: a graph in .xml, its weights in .bin beside it. Written so that one model gives the same bytes, and read back."""

from pathlib import Path
from typing import Any

from edgewright.artifact import TensorSpec
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.openvino import graph
from edgewright.integrations.runtimes.openvino.session import PRECISION, read
from edgewright.runtime import Signature, refusals

_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NF"}
"""Of files that do not say theirs, as those of others."""
_GROUP = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
_NOT_OURS = ("conversion_parameters", "nncf")


def write(model: Any, out: Path, *, precision: str, dynamic_group: int | None = None, float16: bool = False) -> None:
    """Write .xml and .bin, without what differs from run to run and without the indentation: a quarter of a small .xml.

    Args:
        model: an ``openvino.Model``; its names are changed.
        out: the .xml; the .bin is written beside it.
        precision: what layers that are not quantized compute in; ``load`` obeys.
        dynamic_group: values that share a scale where activations are quantized as the file runs, 0 for none; OpenVINO obeys.
            Left out, OpenVINO's own.
        float16: store weights as float16.
    """
    import openvino

    for key in _NOT_OURS:
        if model.has_rt_info([key]):
            del model.rt_info[key]
    model.set_rt_info(precision, PRECISION)
    if dynamic_group is not None:
        model.set_rt_info(str(dynamic_group), _GROUP)
    graph.tidy(model)
    openvino.save_model(model, str(out), compress_to_fp16=float16)
    out.write_bytes(b"".join(line.strip() for line in out.read_bytes().splitlines()))


def inspect(file: Path) -> Signature:
    """Read what an IR file declares.

    Raises:
        ExportError: it is not a whole IR file, or takes or returns what is not supported.
    """
    model = read(file)
    return Signature(
        inputs=tuple(_input(port, file) for port in model.inputs),
        outputs=tuple(_output(port, file) for port in model.outputs),
    )


def _input(port: Any, file: Path) -> TensorSpec:
    spec = _spec(port, file)
    declared = str(port.get_node().layout).strip("[]").replace(",", "")
    return spec.model_copy(update={"layout": declared or _LAYOUTS.get(len(spec.shape), "")})


def _output(port: Any, file: Path) -> TensorSpec:
    maker = port.get_node().input_value(0).get_node()
    return _spec(port, file).model_copy(update={"lsb": graph.step(maker)})


def _spec(port: Any, file: Path) -> TensorSpec:
    name = port.get_any_name() if port.get_names() else port.get_node().get_friendly_name()
    with refusals(f"the type of {name!r} is not supported", file, "give the model float inputs and outputs"):
        if port.get_partial_shape().rank.is_dynamic:
            raise ExportError(f"{name!r} has no number of axes", where=str(file), to_do="export it with fixed shapes")
        shape = tuple(-1 if axis.is_dynamic else axis.get_length() for axis in port.get_partial_shape())
        dtype = port.get_element_type().to_dtype().name
        return TensorSpec.model_validate({"name": name, "shape": shape, "dtype": dtype})
