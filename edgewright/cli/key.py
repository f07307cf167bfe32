# SPDX-License-Identifier: Apache-2.0
"""`edgewright key`: a pair of keys that sign and verify bundles."""

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def key(file: Path) -> None:
    """Make a pair of keys that sign and verify.

    FILE takes the private key (ed25519), readable by you alone; its public key lies beside it as .pub. The private key
    signs: name it in release.yaml as `signing: {key: "file:FILE"}`. Whoever verifies needs the public key, and has to get
    it from you, not from where the bundles are.
    """
    from edgewright.trust.keys import make_key, public_key

    public = make_key(file)
    click.echo(f"private  {file}\npublic   {public}\nid       {public_key(public).keyid}")
