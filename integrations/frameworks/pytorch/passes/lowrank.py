# SPDX-License-Identifier: Apache-2.0
"""Low-rank factorizations of kernels: how much each rank loses, and the kernels of the layers that replace one.

Pure functions on float64 arrays. A kernel has PyTorch's layout (out, in, height, width), a matrix (out, in). What is lost
is a share of the squared weights, which is the share of the squared singular values that are cut off.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: sweeps of alternating least squares; four times as many keep 1 to 2 percentage points more of a trained kernel
_CP_SWEEPS, _CP_ESTIMATE = 50, 20


def svd_losses(matrix: Array) -> Array:
    """Lost share at rank 1, 2, … of a matrix (Eckart & Young, 1936, doi:10.1007/BF02288367)."""
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    total = squares.sum()
    # from the end: differences of nearly equal sums would not reach zero
    rest = np.append(squares[:0:-1].cumsum()[::-1], 0.0)
    return rest / total if total > 0 else np.zeros_like(rest)


def svd(matrix: Array, rank: int) -> tuple[Array, Array]:
    """Return matrices (rank, in) and (out, rank), to be applied in this order; both carry the root of the singular values."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    roots = np.sqrt(values[:rank])
    return roots[:, None] * right[:rank], left[:, :rank] * roots


def tucker2_losses(kernel: Array) -> tuple[Array, Array]:
    """Lost shares at each rank of the outputs and of the inputs; what both lose together is at most their sum.

    The unfoldings' singular values, and their bound on the truncated higher-order SVD (De Lathauwer et al., 2000,
    doi:10.1137/S0895479896305696, property 10).
    """
    return svd_losses(kernel.reshape(len(kernel), -1)), svd_losses(kernel.swapaxes(0, 1).reshape(kernel.shape[1], -1))


def tucker2(kernel: Array, outputs: int, inputs: int) -> list[Array]:
    """Return the kernels 1x1 (inputs, in), spatial (outputs, inputs) and 1x1 (out, outputs), applied in this order.

    Tucker-2 by higher-order orthogonal iteration (Kim et al., 2016, arXiv:1511.06530). A mode of full rank needs no
    factor: its 1x1 kernel is left out.
    """
    import tensorly
    from tensorly.decomposition import partial_tucker

    ranks = {mode: rank for mode, rank in ((0, outputs), (1, inputs)) if rank < kernel.shape[mode]}
    if not ranks:
        return [kernel]
    with tensorly.backend_context("numpy"):
        (core, factors), _ = partial_tucker(kernel, rank=list(ranks.values()), modes=list(ranks), init="svd")
    by_mode: dict[int, Array] = dict(zip(ranks, factors, strict=True))
    first = [by_mode[1].T[:, :, None, None]] if 1 in by_mode else []
    last = [by_mode[0][:, :, None, None]] if 0 in by_mode else []
    return [*first, core, *last]


def cp_loss(kernel: Array, rank: int, seed: int) -> float:
    """Lost share at a rank: there is no spectrum to read it from, the factors have to be fitted."""
    matrices = _cp_matrices(kernel, rank, seed, _CP_ESTIMATE)
    fitted = np.einsum("or,ir,hr,wr->oihw", *matrices, optimize=True)
    total = float((kernel**2).sum())
    return float(((kernel - fitted) ** 2).sum()) / total if total > 0 else 0.0


def cp(kernel: Array, rank: int, seed: int) -> list[Array]:
    """Return the kernels 1x1 (rank, in), depthwise (rank, 1) along height, then width, and 1x1 (out, rank), in this order.

    CP by alternating least squares (Lebedev et al., 2015, arXiv:1412.6553), its components equally large in all factors.
    A depthwise kernel of length 1 is left out.
    """
    outputs, inputs, height, width = _balanced(_cp_matrices(kernel, rank, seed, _CP_SWEEPS))
    layers = [inputs.T[:, :, None, None]]
    for matrix, axis in ((height, 2), (width, 3)):
        if len(matrix) > 1:
            layers.append(np.expand_dims(matrix.T, (1, 5 - axis)))
        else:
            outputs = outputs * matrix
    return [*layers, outputs[:, :, None, None]]


def _cp_matrices(kernel: Array, rank: int, seed: int, sweeps: int) -> list[Array]:
    """Factor matrices (out, rank), (in, rank), (height, rank), (width, rank)."""
    import tensorly
    from tensorly.decomposition import parafac

    with tensorly.backend_context("numpy"), warnings.catch_warnings():
        # a rank above a mode's size is filled up with random vectors, as it should
        warnings.filterwarnings("ignore", "Trying to compute SVD")
        _, matrices = parafac(kernel, rank, n_iter_max=sweeps, init="svd", random_state=seed, tol=1e-5)
    found: list[Array] = list(matrices)
    return found


def _balanced(matrices: list[Array]) -> list[Array]:
    """Give each component the same norm in every factor: one that is large here and tiny there is hard to train."""
    norms: Any = np.array([np.linalg.norm(matrix, axis=0) for matrix in matrices])
    norms[norms == 0] = 1.0
    common = np.prod(norms, axis=0) ** (1 / len(matrices))
    return [matrix / norm * common for matrix, norm in zip(matrices, norms, strict=True)]
