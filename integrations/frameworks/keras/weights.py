# SPDX-License-Identifier: Apache-2.0
"""Weights in files: our own as safetensors, the user's also as .npz and Keras files. No code is run without consent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from edgewright.arrays import UNREADABLE
from edgewright.errors import EdgewrightError, ModelError, nearest
from edgewright.framework import Array
from edgewright.integrations.frameworks.keras.engine import is_keras3, keras
from edgewright.integrations.frameworks.keras.engine import weights as variables_by_name
from edgewright.plugins import working_folder_on_path

WEIGHTS = "weights.safetensors"
SHOWN = 5
_KERAS_FILES = (".h5", ".hdf5", ".keras")


def write_weights(model: Any, out: Path) -> None:
    """Write a model's weights as ``out``/weights.safetensors."""
    found = {name: np.array(variable.numpy(), order="C") for name, variable in variables_by_name(model).items()}
    save_file(found, out / WEIGHTS)


def read_weights(file: Path, model: Any, *, allow_pickle: bool = False) -> dict[str, Array]:
    """Read named arrays from a .safetensors or .npz file, or with consent from a file of Keras (.keras, .h5).

    Args:
        file: what to read.
        model: the one they are for; a file of Keras is read by its generation of Keras.
        allow_pickle: consent to a file of Keras: it may hold a whole model, whose layers can run any code.

    Raises:
        ModelError: the file cannot be read, holds no weights, or needs consent that is not given.
    """
    where = f"model.weights: {file}"
    if not file.is_file():
        raise ModelError("there is no such file of weights", where=where, to_do="check the path in release.yaml")
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        if file.suffix in _KERAS_FILES:
            return _read_keras(file, model, allow_pickle, where)
        found: dict[str, Array] = load_file(file)
        return found
    except EdgewrightError:
        raise
    except (SafetensorError, *UNREADABLE) as error:
        raise ModelError(
            f"the weights cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            where=where,
            to_do="check that the file is whole, and that it is a .safetensors or .npz file with one array a weight",
        ) from error


def apply_weights(model: Any, weights: Mapping[str, Array], *, where: str) -> None:
    """Load weights into a model whose names and shapes are exactly these.

    Raises:
        ModelError: names or shapes differ, or a value is NaN; at most five are listed.
    """
    wanted = variables_by_name(model)
    lacking = [f"{name!r} is missing from the file{_close(name, weights)}" for name in wanted if name not in weights]
    unknown = [f"{name!r} is not in the model{_close(name, wanted)}" for name in weights if name not in wanted]
    differing = [
        f"{name!r} has shape {weights[name].shape} in the file and {tuple(variable.shape)} in the model"
        for name, variable in wanted.items()
        if name in weights and weights[name].shape != tuple(variable.shape)
    ]
    wrong = [*differing, *lacking, *unknown]
    if wrong:
        more = f"\n    … and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ModelError(
            "the weights do not fit the model:" + "".join(f"\n    {line}" for line in wrong[:SHOWN]) + more,
            where=where,
            to_do="take the architecture and model.options that these weights were trained with",
        )
    broken = [name for name, array in weights.items() if array.dtype.kind == "f" and bool(np.isnan(array).any())]
    if broken:
        raise ModelError(
            f"{len(broken)} of {len(weights)} weights hold NaN: {', '.join(broken[:SHOWN])}",
            where=where,
            to_do="take a checkpoint from before the training diverged",
        )
    for name, variable in wanted.items():
        variable.assign(weights[name])


def _close(name: str, names: Mapping[str, Any]) -> str:
    hint = nearest(name, names)
    return f" ({hint})" if hint.startswith("did you mean") else ""


def _read_keras(file: Path, model: Any, allow_pickle: bool, where: str) -> dict[str, Array]:
    """Read a file of Keras; its weights are taken in their order, for its names count the layers of another session."""
    if not allow_pickle:
        raise ModelError(
            f"a {file.suffix} file may hold a whole model, whose layers can run any code on this machine",
            where=where,
            to_do="save its weights as .npz or .safetensors instead; or, if you trust where the file comes from, "
            "write 'allow_pickle: true' below model",
        )
    try:
        with working_folder_on_path():
            found = _stored_model(file, is_keras3(model)) if _holds_model(file) else _filled(file, model)
    except Exception as error:  # whatever Keras stumbles over in a file that is not its own
        raise ModelError(
            f"the weights cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            where=where,
            to_do="check that the file is whole, and was written by the same generation of Keras",
        ) from error
    arrays = [variable.numpy() for variable in variables_by_name(found).values()]
    names = list(variables_by_name(model)) if len(arrays) == len(variables_by_name(model)) else list(variables_by_name(found))
    return dict(zip(names, arrays, strict=True))


def _holds_model(file: Path) -> bool:
    if file.suffix == ".keras":
        return True
    import h5py

    with h5py.File(file) as stored:
        return "model_config" in stored.attrs


def _stored_model(file: Path, of_keras3: bool) -> Any:
    if of_keras3:
        import keras as keras3

        return keras3.saving.load_model(file, compile=False, safe_mode=False)
    return keras.models.load_model(file, compile=False, **({"safe_mode": False} if file.suffix == ".keras" else {}))


def _filled(file: Path, model: Any) -> Any:
    model.load_weights(str(file))
    return model
