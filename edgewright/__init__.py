# SPDX-License-Identifier: Apache-2.0
"""edgewright: a model, data and a list of edge targets in; validated, gated and promoted edge artifacts out.

Importing this package imports nothing heavy. Pipelines are handed out on first use, so that
`zenml pipeline run edgewright.edge_release` finds them (docs/adr/0001-packaging.md).
"""

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["ReleaseConfig", "__version__", "drift_check", "edge_release", "promote", "retrain_on_drift"]

_LAZY = {
    "edge_release": "edgewright.pipelines.edge_release",
    "promote": "edgewright.pipelines.promote",
    "drift_check": "edgewright.pipelines.drift_check",
    "retrain_on_drift": "edgewright.pipelines.retrain_on_drift",
    "ReleaseConfig": "edgewright.config",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'edgewright' has no attribute {name!r}")
