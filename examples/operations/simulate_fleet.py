# SPDX-License-Identifier: Apache-2.0
import sys
import time

import numpy as np
import onnxruntime
from edgewright.monitor import Monitor, deliver
from make_data import measure

offset, now = float(sys.argv[1]), time.time()
session = onnxruntime.InferenceSession("field/model.onnx")
name = session.get_inputs()[0].name
for device in range(200):
    clock = [now - 25 * 3600]
    monitor = Monitor("reference.json", f"pump-{device}", f"devices/{device}", clock=lambda: clock[0])
    samples, _ = measure(50, 100 + device, offset)
    outputs = np.concatenate([session.run(None, {name: sample[None]})[0] for sample in samples])
    monitor.observe(samples, outputs)
    clock[0] = now - 1800
    monitor.report()
    deliver(monitor.outbox, "reports")
