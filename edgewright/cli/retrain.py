# SPDX-License-Identifier: Apache-2.0
"""`edgewright retrain`: the pipeline that checks for drift and answers it, without ZenML's command line."""

from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path), default=Path("retrain.yaml"))
def retrain(config: Path) -> None:
    """Train on new data too and release again on drift.

    Ends with 0 when there is no drift or the new model was promoted, 1 when the gate refused it, 10 when there is drift and
    the guard holds retraining back, 2 when something is wrong.
    """
    from edgewright.cli.run import started
    from edgewright.config.retrain import load_retrain_config

    asked = load_retrain_config(config)
    with started(f"edgewright retrain {config}"):
        from edgewright.pipelines.retrain_on_drift import retrain_on_drift

        retrain_on_drift(asked)
