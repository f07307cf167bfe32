# SPDX-License-Identifier: Apache-2.0
"""The delegates a model can be lowered for: each its own backend in the file, its own partitioner, its own toolkit."""

from importlib.util import find_spec
from typing import Any, Literal

from edgewright.errors import ToolkitMissing

Delegate = Literal["xnnpack", "vulkan", "coreml"]

BACKENDS: dict[Delegate, str] = {"xnnpack": "XnnpackBackend", "vulkan": "VulkanBackend", "coreml": "CoreMLBackend"}
"""Names by which files call for a delegate."""


def partitioner(delegate: Delegate) -> Any:
    """Return what decides which operators of a graph the delegate takes.

    Raises:
        ToolkitMissing: Core ML is lowered by coremltools, which is not installed.
    """
    if delegate == "xnnpack":
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

        return XnnpackPartitioner()
    if delegate == "vulkan":
        from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

        return VulkanPartitioner()
    if find_spec("coremltools") is None:
        raise ToolkitMissing.of("delegate 'coreml'", ("coremltools",), "pip install 'coremltools==9.0'")
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    return CoreMLPartitioner()
