from edgewright.integrations.runtimes.openvino import OpenVINO
from edgewright.testing import RuntimeContract


class TestOpenVINO(RuntimeContract):
    runtime = OpenVINO
    quantizes_outputs = False
