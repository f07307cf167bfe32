# SPDX-License-Identifier: Apache-2.0
"""One artifact on every device of its target, one after the other; what they brought back counts as one run."""

from collections.abc import Callable

from edgewright.config import Target
from edgewright.errors import DeviceError
from edgewright.pipelines.context import Handle, Toolkit, place_of, step_id
from edgewright.steps.join_fleet import join_fleet


def on_every_device(target: Target, metric: str, validate: Callable[[Target, str, str], Handle], *parts: str) -> Handle:
    """Run a validation on the target's device, or on each of its fleet; a device that has answered is not asked again.

    Args:
        target: names the devices.
        metric: by which the worst of them is found.
        validate: takes a target of one device, the digest of that device's code and state, and the id of the step.
        parts: name the step.

    Raises:
        DeviceError: of the first device that failed, once all had their turn: recorded boards are asked together.
    """
    if target.fleet is None:
        return validate(place_of(target), Toolkit.of(target).device_digest, step_id(*parts))
    runs, failed = [], []
    for member in target.members:
        try:
            runs.append(validate(place_of(member), Toolkit.of(member).device_digest, step_id(*parts, member.member)))
        except DeviceError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return join_fleet(runs, metric, id=step_id("fleet", *parts))
