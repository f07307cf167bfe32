# SPDX-License-Identifier: Apache-2.0
"""What the owner of a recorded board does: runs what was laid out, and hands in the answers."""

from pathlib import Path

import numpy as np

from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.runtime import Array


def hand_in(samples: Path, wrong: float = 0.0) -> None:
    """Run samples that were laid out for the null runtime; of a share of them the answers are turned round."""
    (file,) = samples.parent.glob("*.npz")
    session = NullRuntime().load(file, 1)
    with np.load(samples / "inputs.npz", allow_pickle=False) as given:
        ids, inputs = given["id"], given["inputs"]
    outputs: Array = np.concatenate([session.run(one[None]) for one in inputs])
    count = round(wrong * len(outputs))
    outputs[:count] = outputs[:count, ::-1]
    np.savez(samples / "outputs.npz", id=ids, outputs=outputs)
