# SPDX-License-Identifier: Apache-2.0
"""Batches: several samples in one run, where the file answers them as it answers each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.errors import EdgewrightError
from edgewright.onboard.preprocess import Array

if TYPE_CHECKING:
    from edgewright.runtime import Session

SAME = 1e-3
"""Largest difference of a float answer in a batch from the answer alone, as a share of the largest: kernels add in another
order. Integers may differ by one step."""


def in_batches(session: Session, samples: list[Array], size: int) -> tuple[list[Array], str]:
    """Have a session take several samples in a run.

    Args:
        session: the loaded file; from here on it takes batches.
        samples: single ones (1, …).
        size: samples of a batch.

    Returns:
        Batches (size, …), going round the samples; and why the file cannot take them, where it cannot.
    """
    if size == 1:
        return samples, ""
    resize = getattr(session, "resize", None)
    if resize is None:
        return [], "this runtime takes one sample in a run"
    count = -(-max(size, len(samples)) // size)
    batches = [np.concatenate([samples[(at * size + of) % len(samples)] for of in range(size)]) for at in range(count)]
    alone = np.concatenate([session.run(sample[None]) for sample in batches[0]])
    try:
        resize(size)
        together = session.run(batches[0])
    except EdgewrightError as error:
        return [], error.what
    if together.shape != alone.shape or not _same(together, alone):
        return [], f"in a batch of {size} the file answers otherwise than sample by sample"
    return batches, ""


def _same(together: Array, alone: Array) -> bool:
    difference = float(np.abs(together.astype(float) - alone).max())
    return difference <= (SAME * float(np.abs(alone).max()) if alone.dtype.kind == "f" else 1)
