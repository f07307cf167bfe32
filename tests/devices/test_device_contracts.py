# SPDX-License-Identifier: Apache-2.0
"""The built-in devices of this machine keep the contract of all devices."""

import arm_root
import pytest

from edgewright.device import Device
from edgewright.integrations.devices.local import LocalDevice
from edgewright.integrations.devices.null import NullDevice
from edgewright.integrations.devices.qemu import QemuAarch64
from edgewright.testing.device_contract import DeviceContract


class TestLocalDevice(DeviceContract):
    def device(self) -> Device:
        return LocalDevice()


class TestNullDevice(DeviceContract):
    def device(self) -> Device:
        return NullDevice()

    def test_what_it_times_is_emulated(self) -> None:
        assert self.device().evidence == "emulated"


class TestQemuAarch64(DeviceContract):
    @pytest.fixture(autouse=True)
    def _prepared(self) -> None:
        arm_root.prepare()

    def device(self) -> Device:
        return QemuAarch64()
