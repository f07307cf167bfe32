# SPDX-License-Identifier: Apache-2.0
"""What the fork server imports once, so that each run starts at once. Nothing here opens a store or starts a thread."""

import great_expectations
import matplotlib.figure
import mlflow
import sklearn.metrics
import statsmodels.stats.proportion
import torch
from zenml.integrations.registry import integration_registry

import edgewright.cli
import edgewright.pipelines.edge_release
import edgewright.report.page

integration_registry.activate_integrations()

__all__ = ["edgewright", "great_expectations", "matplotlib", "mlflow", "sklearn", "statsmodels", "torch"]
