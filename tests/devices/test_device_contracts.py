# SPDX-License-Identifier: Apache-2.0
"""Both built-in devices keep the contract of all devices."""

from edgewright.device import Device
from edgewright.integrations.devices.local import LocalDevice
from edgewright.integrations.devices.null import NullDevice
from edgewright.testing.device_contract import DeviceContract


class TestLocalDevice(DeviceContract):
    def device(self) -> Device:
        return LocalDevice()


class TestNullDevice(DeviceContract):
    def device(self) -> Device:
        return NullDevice()

    def test_what_it_times_is_emulated(self) -> None:
        assert self.device().evidence == "emulated"
