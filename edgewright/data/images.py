# SPDX-License-Identifier: Apache-2.0
"""Image folders: a folder a class, or train/, test/, … with a folder a class in each."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import SPLITS, SplitName
from edgewright.data.samples import Parts, Samples
from edgewright.errors import DataError, nearest
from edgewright.progress import stage

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[Any]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
GRAY, COLOUR = ("L", "1"), ("RGB", "RGBA", "P", "LA", "CMYK", "YCbCr")


def read_folder(folder: Path, size: tuple[int, int] | None) -> Parts:
    """Read all images as uint8 (N, height, width), or (N, height, width, 3) when any has colours.

    Args:
        folder: class folders, or folders named as splits with class folders in each.
        size: height and width every image is resized to (bilinear); None: all must have one size.

    Raises:
        DataError: a file that is no readable 8-bit image, images of different sizes, or a layout of folders that is unclear.
    """
    folders = _folders(folder)
    splits = [name for name in SPLITS if folder / name in folders]
    if not splits:
        listed: dict[SplitName, list[Path]] = {"train": _files(folder)}
    else:
        strange = [sub.name for sub in folders if sub.name not in SPLITS]
        if strange or (len(splits) > 1 and "train" not in splits):
            hint = nearest(strange[0], SPLITS) if strange else "'train' is missing"
            raise DataError(
                f"beside {splits[0]!r} there is {strange[0]!r}"
                if strange
                else f"there are splits ({', '.join(splits)}) without 'train'",
                where=str(folder),
                to_do=f"name every folder as a split, or every folder as a class; {hint}",
            )
        listed = {name: _files(folder / name) for name in splits}
    shape = _common_shape([file for files in listed.values() for file in files], size)
    return {name: _read(files, shape, folder) for name, files in listed.items()}


def _files(folder: Path) -> list[Path]:
    """All images of the class folders, sorted; hidden files are not data."""
    stray = [file.name for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES]
    if stray:
        raise DataError(
            f"image {stray[0]!r} lies in no class folder", where=str(folder), to_do="move it into the folder of its class"
        )
    files = [file for sub in _folders(folder) for file in sorted(sub.iterdir()) if not file.name.startswith(".")]
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise DataError(
                f"{file.name!r} is not an image that is read",
                where=str(file),
                to_do=f"class folders hold {', '.join(SUFFIXES)} only",
            )
    if not files:
        raise DataError(
            "there are no images in class folders", where=str(folder), to_do="make a folder a class: cats/1.png, dogs/1.png"
        )
    return files


def _folders(folder: Path) -> list[Path]:
    return [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and not sub.name.startswith(".")]


def _common_shape(files: list[Path], size: tuple[int, int] | None) -> tuple[int, ...]:
    """(height, width) or (height, width, 3) of all images together; only their headers are read."""
    first: tuple[Path, tuple[int, int]] | None = None
    gray = True
    for file in files:
        with _opened(file) as image:
            found = (image.height, image.width)
            gray = gray and image.mode in GRAY
        first = first or (file, found)
        if size is None and found != first[1]:
            raise DataError(
                f"images differ in size: {first[0].name} is {first[1]}, {file.name} is {found} (height, width)",
                where=str(file),
                to_do="set data.image_size: [height, width]; every image is then resized",
            )
    height, width = size or (first[1] if first else (0, 0))
    return (height, width) if gray else (height, width, 3)


def _read(files: list[Path], shape: tuple[int, ...], folder: Path) -> Samples:
    from PIL import Image

    x = np.empty((len(files), *shape), np.uint8)
    with stage(f"read {len(files)} images of {folder.name}", total=len(files)) as advance:
        for index, file in enumerate(files):
            with _opened(file) as image:
                plain = image.convert("L" if len(shape) == 2 else "RGB")
                wanted = (shape[1], shape[0])
                x[index] = np.asarray(plain if plain.size == wanted else plain.resize(wanted, Image.Resampling.BILINEAR))
            advance()
    y = np.array([file.parent.name for file in files])
    origin = np.array([file.relative_to(folder).as_posix() for file in files])
    return Samples(x, y, origin, str(folder))


@contextmanager
def _opened(file: Path) -> "Iterator[Image.Image]":
    """Open an 8-bit image, turned as its EXIF orientation says; Pillow's limit against decompression bombs is an error."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                if image.mode not in GRAY + COLOUR:
                    raise DataError(
                        f"{file.name} has pixels of mode {image.mode!r}",
                        where=str(file),
                        to_do="convert it to 8 bits a channel",
                    )
                ImageOps.exif_transpose(image, in_place=True)
                yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"image {file.name} cannot be read: {error}", where=str(file), to_do="replace it or take it out"
        ) from error
