# SPDX-License-Identifier: Apache-2.0
"""`edgewright verify`: is this bundle what it says, and from whom?"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.errors import ConfigError

if TYPE_CHECKING:
    from edgewright.trust.signed import Check, SignedBundle

KEYS = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="PUB",
    type=click.Path(path_type=Path),
    help="A public key to trust; left out, your own (~/.config/edgewright/release.pub).",
)


OVERRIDDEN = click.option(
    "--overridden", is_flag=True, help="Take also what the gate refused, and a person promoted all the same."
)


@click.command()
@click.argument("bundle", metavar="FILE|URL")
@KEYS
@OVERRIDDEN
@click.option(
    "--root",
    metavar="ROOT",
    type=click.Path(path_type=Path),
    help="With a URL, the first time: the repository's root.json, got from whoever keeps it. It is remembered.",
)
@click.option(
    "--extract", metavar="FOLDER", type=click.Path(path_type=Path), help="Write the artifact there when everything holds."
)
def verify(bundle: str, keys: tuple[Path, ...], overridden: bool, root: Path | None, extract: Path | None) -> None:
    """Check a signed bundle, all of it.

    Each check that was made is printed. A file is checked offline. A URL (https://…, http://… or file://…) names a bundle
    in a repository that `edgewright publish` keeps: <repository>/targets/<family>/<model>.bundle; it is also checked that
    the repository offers it now.

    Ends with exit code 2 when anything does not hold.
    """
    from edgewright.trust.verify import checked

    trusted = trusted_keys(keys)
    if "://" not in bundle:
        if root is not None:
            raise ConfigError(
                "--root is for a bundle in a repository", where="--root", to_do="give its URL, or leave --root out"
            )
        _tell(checked(Path(bundle), trusted, _line, overridden=overridden), extract)
        return
    from edgewright.plugins import create

    with tempfile.TemporaryDirectory(prefix="edgewright-verify-") as folder:
        file = create("services", "tuf").fetch(bundle, root, Path(folder), _line)
        _tell(checked(file, trusted, _line, overridden=overridden), extract)


def trusted_keys(files: tuple[Path, ...]) -> list[Any]:
    """Read the public keys that are named, or take the user's own."""
    from edgewright.trust.keys import own_public_key, public_key

    if files:
        return [public_key(file) for file in files]
    own = own_public_key()
    if own is None:
        raise ConfigError(
            "no key is trusted: none is named, and you have none of your own",
            where="--key",
            to_do="name the public key of whoever signed the bundle: --key release.pub",
        )
    return [own]


def _line(check: "Check") -> None:
    passed = not check.found.startswith("NO PASS")
    click.echo(click.style("✓ " if passed else "! ", fg="green" if passed else "yellow") + f"{check.name:<18} {check.found}")


def _tell(bundle: "SignedBundle", extract: Path | None) -> None:
    from edgewright.report.text import plain

    verdict = bundle.verdict
    versions = ", ".join(f"{name} >= {version}" for name, version in sorted(verdict.minimum_versions.items()))
    runs = f"{verdict.runtime} ({versions})" if versions else verdict.runtime
    click.echo(plain(f"holds: {verdict.model}, {verdict.recipe}, for {runs}; sha256 of the bundle {bundle.digest}"))
    if extract is not None:
        click.echo(f"artifact: {bundle.extract(extract).main_file}")
