# SPDX-License-Identifier: Apache-2.0
"""Weights in files: our own as safetensors, the user's also as PyTorch files. Nothing is unpickled without consent."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgewright.errors import ModelError, nearest
from edgewright.plugins import working_folder_on_path

WEIGHTS = "weights.safetensors"
SHOWN = 5


def write_weights(weights: Mapping[str, Tensor], out: Path) -> None:
    """Write weights as ``out``/weights.safetensors; weights that two layers share are written once for each."""
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}, out / WEIGHTS)


def read_weights(file: Path, *, allow_pickle: bool = False) -> dict[str, Tensor]:
    """Read named tensors from a .safetensors file, or from a state_dict or pickled model saved with ``torch.save``.

    Raises:
        ModelError: the file cannot be read, holds no weights, or holds pickled objects without ``allow_pickle``.
    """
    where = f"model.weights: {file}"
    if not file.is_file():
        raise ModelError("there is no such file of weights", where=where, to_do="check the path in release.yaml")
    try:
        content = load_file(file) if file.suffix == ".safetensors" else _torch_load(file, allow_pickle, where)
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise _unreadable(where, error) from error
    weights = content.state_dict() if isinstance(content, nn.Module) else content
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        found = (
            f"the keys {', '.join(map(repr, list(weights)[:SHOWN]))}"
            if isinstance(weights, Mapping)
            else type(weights).__name__
        )
        raise ModelError(
            f"the file holds {found} where named tensors are expected", where=where, to_do="save model.state_dict() alone"
        )
    return dict(weights)


def apply_weights(model: nn.Module, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Load weights into a model whose names and shapes are exactly these.

    Raises:
        ModelError: names or shapes differ, or a value is NaN; at most five are listed.
    """
    wanted = model.state_dict()
    lacking = [f"{name!r} is missing from the file{_close(name, weights)}" for name in wanted if name not in weights]
    unknown = [f"{name!r} is not in the model{_close(name, wanted)}" for name in weights if name not in wanted]
    differing = [
        f"{name!r} has shape {tuple(weights[name].shape)} in the file and {tuple(tensor.shape)} in the model"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    wrong = [*differing, *lacking, *unknown]
    if wrong:
        more = f"\n    … and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ModelError(
            "the weights do not fit the model:" + "".join(f"\n    {line}" for line in wrong[:SHOWN]) + more,
            where=where,
            to_do="take the architecture and model.options that these weights were trained with",
        )
    broken = [name for name, tensor in weights.items() if tensor.is_floating_point() and bool(tensor.isnan().any())]
    if broken:
        raise ModelError(
            f"{len(broken)} of {len(weights)} weights hold NaN: {', '.join(broken[:SHOWN])}",
            where=where,
            to_do="take a checkpoint from before the training diverged",
        )
    model.load_state_dict(dict(weights))


def _close(name: str, names: Mapping[str, Tensor]) -> str:
    hint = nearest(name, names)
    return f" ({hint})" if hint.startswith("did you mean") else ""


def _torch_load(file: Path, allow_pickle: bool, where: str) -> Any:
    if allow_pickle:
        try:
            with working_folder_on_path():
                return torch.load(file, map_location="cpu", weights_only=False)
        except Exception as error:
            raise _unreadable(where, error) from error
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError):
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            "the file holds more than plain tensors, or is no PyTorch file at all: reading on would unpickle objects, "
            "which can run any code on this machine",
            where=where,
            to_do="save model.state_dict() or .safetensors instead; or, if you trust where the file comes from, "
            "write 'allow_pickle: true' below model",
        ) from error
    except Exception as error:  # torch reads a file that is none of its own as an old pickle, and stumbles anywhere
        raise _unreadable(where, error) from error


def _unreadable(where: str, error: Exception) -> ModelError:
    return ModelError(
        f"the weights cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        where=where,
        to_do="check that the file is whole, and that it is a .safetensors file or holds a state_dict (no TorchScript)",
    )
