# SPDX-License-Identifier: Apache-2.0
"""Cache policies that see the helpers: a step is run again exactly when code it reaches, its inputs or parameters change."""

from zenml.config.cache_policy import CachePolicy


def policy(code: str, *, ignored: tuple[str, ...] = ()) -> CachePolicy:
    """Return the cache policy of a step.

    Args:
        code: import path of a function that digests the code the step reaches (`edgewright.fingerprint.of_code`). A path and
            not the function: ZenML would resolve that at import, which fails in notebooks.
        ignored: inputs that do not change the result, such as a folder for checkpoints.
    """
    return CachePolicy.model_validate({"cache_func": code, "ignored_inputs": list(ignored) or None})
