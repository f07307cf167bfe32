# SPDX-License-Identifier: Apache-2.0
"""Every worker has a ZenML store of its own, made before anything imports zenml; nothing reports home."""

import os
import tempfile

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
)
os.environ.pop("MLFLOW_TRACKING_URI", None)
