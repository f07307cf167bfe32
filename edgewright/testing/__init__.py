# SPDX-License-Identifier: Apache-2.0
"""Contract tests that ship with edgewright: a third-party integration subclasses one to prove itself. They need pytest."""

import pytest

pytest.register_assert_rewrite("edgewright.testing.device_contract", "edgewright.testing.runtime_contract")

from edgewright.testing.device_contract import DeviceContract  # noqa: E402
from edgewright.testing.runtime_contract import RuntimeContract  # noqa: E402

__all__ = ["DeviceContract", "RuntimeContract"]
