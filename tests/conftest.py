# SPDX-License-Identifier: Apache-2.0
"""Every worker has a ZenML store of its own, made before anything imports zenml; caches stay here; nothing reports home."""

import gc
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

_STORE = tempfile.mkdtemp(prefix="edgewright-test-store-")
os.environ.update(
    ZENML_CONFIG_PATH=_STORE,
    ZENML_ANALYTICS_OPT_IN="false",
    ZENML_LOGGING_VERBOSITY="WARN",
    ZENML_ENABLE_RICH_TRACEBACK="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    GX_ANALYTICS_ENABLED="false",
    OMP_NUM_THREADS="1",  # as many workers as cores: more threads would only wait for each other
    OMP_WAIT_POLICY="PASSIVE",
    XDG_CACHE_HOME=str(Path(__file__).parents[1] / "build" / "cache"),  # roots of emulated devices are fetched once
    XDG_CONFIG_HOME=str(Path(_STORE) / "config"),  # the key that signs where none is configured
)
os.environ.pop("MLFLOW_TRACKING_URI", None)

# a busy machine fails nothing, and each run is the same
settings.register_profile("edgewright", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5000, suppress_health_check=list(HealthCheck))
settings.load_profile("edgewright")


def pytest_collection_finish() -> None:
    """Let no collection of garbage look through what is imported by now, and seldom through the toolkits that come later."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a full one takes 0.3 s with four toolkits; no test makes much of it
