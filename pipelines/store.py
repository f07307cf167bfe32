# SPDX-License-Identifier: Apache-2.0
"""Open ZenML's store, one process at a time, and never leave a store half made.

ZenML 0.98 fails when two processes make the same store at once, and never again opens one whose making was cut short
(Ctrl-C, a full disk): https://github.com/zenml-io/zenml, zen_stores/sql_zen_store.py, migrate_database.
"""

import fcntl
import os
from pathlib import Path

import click

from edgewright.errors import MAKE_ROOM, StoreError
from edgewright.sqlite import made_whole


def open_store() -> None:
    """Open the store that ZenML is set to, which makes one where there is none yet.

    Raises:
        StoreError: it cannot be reached or written, or belongs to another version of ZenML.
    """
    folder = Path(os.environ.get("ZENML_CONFIG_PATH") or click.get_app_dir("zenml")).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".edgewright.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stores = Path(os.environ.get("ZENML_LOCAL_STORES_PATH") or folder / "local_stores")
            with made_whole(stores / "default_zen_store" / "zenml.db", folder / ".edgewright-making"):
                _open()
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        full = "disk is full" in said or "No space left" in said
        to_do = "make it writable, or set ZENML_CONFIG_PATH to another folder; 'zenml status' shows what ZenML is set to"
        raise StoreError(
            f"ZenML's store cannot be opened: {said[:300]}", where=str(folder), to_do=MAKE_ROOM if full else to_do
        ) from error


def _open() -> None:
    from zenml.client import Client

    client = Client()
    client.zen_store  # noqa: B018 - making the store is what asking for it does
    client.active_stack_model  # noqa: B018 - written into the configuration when it is asked for first
