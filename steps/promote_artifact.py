# SPDX-License-Identifier: Apache-2.0
"""Make what a finished release offers the champion."""

from pathlib import Path
from typing import Annotated

import click
from zenml import step

from edgewright.config.load import load_config
from edgewright.config.promotion import PromotionConfig
from edgewright.promotion.place import offered
from edgewright.promotion.promote import promote


@step(enable_cache=False)
def promote_artifact(config: PromotionConfig) -> Annotated[str, "version"]:
    """Promote; never cached, since the registry is asked and not the cache.

    Returns:
        The version that is champion.

    Raises:
        GateRefused: something speaks against it, the policy forbids it, or another promotion was faster.
    """
    release = load_config(Path(config.release_yaml)) if config.release_yaml else None
    place, offer, recorded = offered(Path(config.release), config.target, release)
    done = promote(
        offer, recorded, place.tracker, place.ledger(offer.model), place.signer, config.reason, override=config.override
    )
    for line in [*done.repaired, *done.overruled]:
        click.echo(line, err=True)
    return done.champion.version
