# SPDX-License-Identifier: Apache-2.0
"""Runs on devices, with numpy and datasketches alone: inputs, outputs and confidences become small mergeable sketches.

monitor = Monitor("bundle/reference.json", device="camera-17", folder="/var/lib/edgewright")
monitor.observe(samples, outputs)       # beside every inference, or a batch of them
if monitor.due:                         # once a day
    monitor.report()
    deliver(monitor.outbox, "https://example.org/drift")
"""

from edgewright.monitor.monitor import Monitor
from edgewright.monitor.transport import deliver

__all__ = ["Monitor", "deliver"]
