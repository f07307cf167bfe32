# SPDX-License-Identifier: Apache-2.0
"""Seeds and random states of a training: set for its time, saved in checkpoints, and given back as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int, *, deterministic: bool) -> Iterator[None]:
    """Seed torch, numpy and Python, allow only deterministic kernels if asked, and restore all of it afterwards."""
    before = random_state()
    strict, warn_only = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - a user's model may draw from the global generator
        random.seed(seed)
        if deterministic:
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        restore(before)


def random_state() -> dict[str, Any]:
    """Return the state of the three global generators, in types that ``torch.load(weights_only=True)`` reads."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    numpy_state["state"]["key"] = numpy_state["state"]["key"].tolist()
    return {"torch": torch.get_rng_state(), "numpy": numpy_state, "python": random.getstate()}


def restore(state: dict[str, Any]) -> None:
    """Put the three global generators back into a state of ``random_state``."""
    torch.set_rng_state(state["torch"])
    inner = state["numpy"]["state"] | {"key": np.asarray(state["numpy"]["state"]["key"], np.uint32)}
    np.random.set_state(state["numpy"] | {"state": inner})  # noqa: NPY002
    random.setstate(state["python"])
