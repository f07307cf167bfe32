# SPDX-License-Identifier: Apache-2.0
"""Which operators of a .tflite file the Edge TPU takes, by the published list and those of its limits a file can show.

Source: "Supported operations" in https://coral.ai/docs/edgetpu/models-intro/, runtime version 14 or newer. Limits that depend
on what the compiler makes of sizes (large reshapes, resizing that would lose precision) are the compiler's to find.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from edgewright.runtime import OperatorUse

#: of the schema: no fused activation, dense weights
_NONE = 0
_LARGEST_SOFTMAX = 16_000


def _any(operator: OperatorUse) -> str:  # noqa: ARG001
    return ""


def _unfused(operator: OperatorUse) -> str:
    return "it has a fused activation" if operator.options.get("fusedActivationFunction", _NONE) != _NONE else ""


def _square_dilation(operator: OperatorUse) -> str:
    width, height = (operator.options.get(f"dilation{axis}Factor", 1) for axis in "WH")
    return "" if width == height else f"its dilation is {height} down and {width} across"


def _dense(operator: OperatorUse) -> str:
    return "its weights are shuffled" if operator.options.get("weightsFormat", _NONE) != _NONE else ""


def _small_softmax(operator: OperatorUse) -> str:
    values = prod(operator.tensors[0].shape) if operator.tensors else 0
    return f"its input has {values:,} values, at most {_LARGEST_SOFTMAX:,} are taken" if values > _LARGEST_SOFTMAX else ""


def _mean(operator: OperatorUse) -> str:
    given, answered = (operator.tensors[end].shape for end in (0, -1)) if operator.tensors else ((), ())
    innermost = given[-1] if given and answered and given[-1] != answered[-1] else 0  # 0: it is not averaged over
    return f"it averages over an innermost axis of {innermost}, which is no multiple of 4" if innermost % 4 else ""


def _unit_strides(operator: OperatorUse) -> str:
    masks = (operator.options.get(f"{name}Mask", _NONE) for name in ("ellipsis", "newAxis"))
    return "it has an ellipsis or a new axis" if any(masks) else ""


_UNCONDITIONAL = """
    ADD EXPAND_DIMS L2_NORMALIZATION LOGISTIC MAXIMUM MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6
    RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE
    SUB SUM TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
"""
#: operator -> what is said against one use of it; empty: nothing
SUPPORTED: dict[str, Callable[[OperatorUse], str]] = {
    **dict.fromkeys(_UNCONDITIONAL.split(), _any),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"), _unfused),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _square_dilation),
    "FULLY_CONNECTED": _dense,
    "MEAN": _mean,
    "SOFTMAX": _small_softmax,
    "STRIDED_SLICE": _unit_strides,
}
#: types of tensors that are not constants: 8 bits throughout
_TYPES = ("int8", "uint8")


@dataclass(frozen=True)
class Coverage:
    """The operators of one file."""

    total: int
    mapped: int
    """How many the Edge TPU executes: those before the first that it does not take."""
    refused: tuple[str, ...]
    """Operators that it does not take, each with its layer and the reason."""

    @property
    def words(self) -> str:
        """One sentence for the report."""
        if not self.refused:
            return f"By the published list, all {self.total} operators run on the Edge TPU."
        behind = "" if self.mapped + len(self.refused) == self.total else "; all behind the first of them stays there too"
        return (
            f"By the published list, {self.mapped} of {self.total} operators run on the Edge TPU; "
            f"the processor is left with {'; '.join(self.refused)}{behind}."
        )


def coverage(operators: list[OperatorUse]) -> Coverage:
    """Hold operators, in the order they are executed, against the list.

    The compiler makes one part for the Edge TPU and stops it at the first operator that is not taken (same page,
    "Compiling"), so that what stands behind it stays on the processor.
    """
    against = [(operator, _against(operator)) for operator in operators]
    first = next((index for index, (_, reason) in enumerate(against) if reason), len(against))
    refused = tuple(f"{operator}: {reason}" for operator, reason in against if reason)
    return Coverage(len(operators), first, refused)


def _against(operator: OperatorUse) -> str:
    """Say what keeps one operator off the Edge TPU; empty when nothing does."""
    if operator.kind not in SUPPORTED:
        return "not supported"
    wrong = sorted({tensor.dtype for tensor in operator.tensors} - {*_TYPES})
    if wrong:
        return f"it works on {' and '.join(wrong)}, not on 8 bits"
    deep = next((tensor.shape for tensor in operator.tensors if any(axis != 1 for axis in tensor.shape[:-3])), None)
    if deep is not None:
        return f"a tensor of shape {deep} is larger than 1 beyond its three innermost axes"
    return SUPPORTED[operator.kind](operator)
