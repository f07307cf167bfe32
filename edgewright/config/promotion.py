# SPDX-License-Identifier: Apache-2.0
"""PromotionConfig: the whole of promote.yaml."""

from typing import Literal

from edgewright.config.base import Config


class PromotionConfig(Config):
    """What the pipeline `promote` makes champion. Relative paths are taken from the folder it is started in."""

    release: str
    """Folder that a release wrote (<output>/<name>), or the release.json in it."""
    target: str | None = None
    """Name of the target; left out, the only one."""
    release_yaml: str | None = None
    """A release.yaml, whose store, policy and key apply; left out: store and policy of the release, and your own key."""
    to: Literal["champion"] = "champion"
    reason: str = ""
    """Why; kept in the history."""
    override: bool = False
    """Promote though something speaks against it; needs a reason, and the policy's leave."""
