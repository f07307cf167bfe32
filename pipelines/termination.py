# SPDX-License-Identifier: Apache-2.0
"""SIGTERM, as schedulers and containers send it, ends a release as Ctrl-C does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zenml.exceptions import RunInterruptedException


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM, so that the run ends where it is, ends its child processes and can be resumed.

    Left to itself, ZenML 0.98 (orchestrators/signal_handler.py) lets SIGTERM fail the step under way and goes on with the
    next one: a rung would be counted as failed, and another promoted in its place. It calls a handler it has found, though.
    A handler of the user's own stays.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except (
        RunInterruptedException
    ) as error:  # Ctrl-C where a shell lets its background jobs ignore it: ZenML listens to it all the same
        raise KeyboardInterrupt from error
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
