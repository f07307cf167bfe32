# SPDX-License-Identifier: Apache-2.0
"""Keeps torchao's talk to itself, whoever uses it: kernels of GPUs that do not load, and what of torch is deprecated."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_TALKING = ("torchao", "torch.utils._pytree")


@contextmanager
def quietly() -> Iterator[None]:
    """Show errors of torchao, and no warnings, for as long as it is imported or called here."""
    loggers = [logging.getLogger(name) for name in _TALKING]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
