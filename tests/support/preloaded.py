# SPDX-License-Identifier: Apache-2.0
"""What the fork server imports once, so that each run starts at once. Nothing here opens a store or starts a thread."""

import gc
import sqlite3
from typing import Any

import great_expectations
import matplotlib.figure
import mlflow
import mlflow.store.db.utils
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import opentelemetry.sdk
import scipy.io
import sklearn.datasets
import sklearn.metrics
import sklearn.model_selection
import statsmodels.stats.proportion
import torch
import torch._dynamo
import torch._inductor.standalone_compile
import torch.onnx
import zenml.execution.pipeline.dynamic.runner
import zenml.zen_stores.secrets_stores.sql_secrets_store
import zenml.zen_stores.sql_zen_store
from sqlalchemy import event
from sqlalchemy.engine import Engine
from zenml.integrations.registry import integration_registry
from zenml.stack.flavor_registry import FlavorRegistry

import edgewright.cli.check
import edgewright.cli.run
import edgewright.integrations.frameworks.pytorch.passes.students
import edgewright.integrations.frameworks.pytorch.training
import edgewright.integrations.runtimes.null
import edgewright.integrations.services.mlflow
import edgewright.pipelines.edge_release
import edgewright.pipelines.store
import edgewright.report.page

integration_registry.activate_integrations()
flavors = FlavorRegistry()
flavors.builtin_flavors, flavors.integration_flavors  # noqa: B018 - imports them, as the making of a store does


@event.listens_for(Engine, "connect")
def _without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    """SQLite hands its writes to the system at once: what a kill leaves is the same, and no test cuts the power."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


gc.collect()
gc.freeze()  # a run that collects garbage copies no page of what is shared
