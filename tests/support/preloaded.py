# SPDX-License-Identifier: Apache-2.0
"""What the fork server imports once, so that each run starts at once. Nothing here opens a store or starts a thread."""

import gc
import importlib
import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import configure_mappers
from zenml.integrations.registry import integration_registry
from zenml.stack.flavor_registry import FlavorRegistry

from edgewright.fingerprint import of_code
from edgewright.report.svg import draw

for module in (
    "edgewright.cli.check",
    "edgewright.cli.run",
    "edgewright.integrations.devices.null",
    "edgewright.integrations.frameworks.pytorch.passes.students",
    "edgewright.integrations.frameworks.pytorch.training",
    "edgewright.integrations.runtimes.null",
    "edgewright.integrations.services.great_expectations.checks",
    "edgewright.integrations.services.mlflow",
    "edgewright.pipelines.edge_release",
    "edgewright.pipelines.store",
    "edgewright.report.page",
    "great_expectations",
    "matplotlib.backends.backend_svg",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "opentelemetry.sdk",
    "pyarrow.pandas_compat",
    "scipy.io",
    "sklearn.datasets",
    "sklearn.metrics",
    "sklearn.model_selection",
    "statsmodels.stats.proportion",
    "torch._dynamo",
    "torch._inductor.standalone_compile",
    "torch.onnx",
    "zenml.cli.cli",
    "zenml.execution.pipeline.dynamic.runner",
    "zenml.zen_stores.secrets_stores.sql_secrets_store",
    "zenml.zen_stores.sql_zen_store",
):
    importlib.import_module(module)

draw("first", "a picture", lambda axes: axes.plot([1, 2], label="a line"))  # imports the rest of matplotlib, and reads its font
of_code("edgewright.pipelines.edge_release")  # sources that are parsed once are not parsed again
integration_registry.activate_integrations()
flavors = FlavorRegistry()
flavors.builtin_flavors, flavors.integration_flavors  # noqa: B018 - imports them, as the making of a store does


@event.listens_for(Engine, "connect")
def _without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    """SQLite hands its writes to the system at once: what a kill leaves is the same, and no test cuts the power."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


configure_mappers()
gc.collect()
gc.freeze()  # a run that collects garbage copies no page of what is shared
