# SPDX-License-Identifier: Apache-2.0
"""Cache policies that see the helpers: a step is run again exactly when code it reaches, its inputs or parameters change."""

from collections.abc import Callable

from zenml.config.cache_policy import CachePolicy


def policy(code: Callable[[], str], *, ignored: tuple[str, ...] = ()) -> CachePolicy:
    """Return the cache policy of a step.

    Args:
        code: a function of the step's module that digests the code the step reaches (`edgewright.fingerprint.of_code`).
        ignored: inputs that do not change the result, such as a folder for checkpoints.
    """
    return CachePolicy(cache_func=code, ignored_inputs=list(ignored) or None)
