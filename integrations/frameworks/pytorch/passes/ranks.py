# SPDX-License-Identifier: Apache-2.0
"""Which rank each layer gets: by the energy that is to be kept, or by the multiply-accumulates that have to go.

Pure: what every rank costs and loses goes in, a choice for each layer comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Options:
    """Ranks that one layer could have; those that save no multiply-accumulates are not among them."""

    whole: int
    """Multiply-accumulates of the layer as it is."""
    ranks: Array
    """(K, ranks a layer): one or two numbers an option."""
    macs: Array
    """(K,) multiply-accumulates."""
    lost: Array
    """(K,) share of the squared weights that is lost."""

    @classmethod
    def saving(cls, whole: int, ranks: Array, macs: Array, lost: Array) -> "Options":
        """Keep the options that save something and that no other beats in both cost and loss, cheapest first."""
        order = np.lexsort((lost, macs))
        order = order[macs[order] < whole]
        better = np.append(True, lost[order][1:] < np.minimum.accumulate(lost[order])[:-1])[: len(order)]
        kept = order[better]
        return cls(whole, ranks[kept], macs[kept], lost[kept])


def by_energy(options: Options, energy: float) -> int | None:
    """Return the cheapest option that keeps this share of the squared weights; None: the layer stays as it is."""
    enough = np.flatnonzero(options.lost <= 1 - energy + 1e-9)  # 1 - 0.8 is a little less than 0.2
    return int(enough[0]) if len(enough) else None


def by_budget(layers: Sequence[Options], saving: float) -> list[int | None] | None:
    """Choose for all layers together, so that ``saving`` multiply-accumulates go: least energy lost for each first.

    Greedy over the lower convex hulls of cost and loss, where each layer's steps become dearer one by one; a layer counts
    by shares of its own energy, since normalization makes the scale of its weights arbitrary. The last step is cut down
    to what is still needed.

    Returns:
        An option for each layer (None: it stays), or None where so much cannot be saved.
    """
    steps = sorted((step for at, options in enumerate(layers) for step in _steps(at, options)), key=lambda step: step[0])
    chosen: list[int | None] = [None] * len(layers)
    saved = 0.0
    for _, at, option in steps:
        before = saved - _saved(layers[at], chosen[at])
        if before + _saved(layers[at], option) >= saving:
            # cheapest first means most loss first: the last that is enough loses least
            chosen[at] = int(np.flatnonzero(layers[at].whole - layers[at].macs >= saving - before)[-1])
            return chosen
        chosen[at], saved = option, before + _saved(layers[at], option)
    return None


def most(layers: Sequence[Options]) -> int:
    """Multiply-accumulates that go when every layer has its cheapest option."""
    return sum(int(options.whole - options.macs[0]) for options in layers if len(options.macs))


def _saved(options: Options, chosen: int | None) -> float:
    return 0.0 if chosen is None else float(options.whole - options.macs[chosen])


def _steps(at: int, options: Options) -> list[tuple[float, int, int]]:
    """(energy lost a saved operation, layer, option) along the lower hull from the whole layer to its cheapest option."""
    macs, lost = np.append(options.macs, options.whole)[::-1], np.append(options.lost, 0.0)[::-1]
    hull = [0]
    for point in range(1, len(macs)):
        while len(hull) > 1 and _slope(macs, lost, hull[-2], hull[-1]) >= _slope(macs, lost, hull[-2], point):
            hull.pop()
        hull.append(point)
    last = len(options.macs)
    return [(_slope(macs, lost, one, two), at, last - two) for one, two in pairwise(hull)]


def _slope(macs: Array, lost: Array, one: int, two: int) -> float:
    return float((lost[two] - lost[one]) / (macs[one] - macs[two]))
