# SPDX-License-Identifier: Apache-2.0
"""The Free Spoken Digit Dataset as a source for `data.source: spoken_digits:recordings`: 3,000 recordings of ten words, 8 kHz.

The split is the data set's own: recordings 0 to 4 of each speaker and digit are the test data.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from micro.archives import Archive
from numpy.typing import NDArray

Array = NDArray[Any]
RATE = 8000
#: one second; 1 recording in 100 is longer, and loses its end
LENGTH = RATE

ARCHIVE = Archive(
    file="fsdd.npz",
    keys={
        "audio": ("int16", "all recordings, one after the other, at 8 kHz"),
        "offset": ("int64", "(N + 1,) where each begins in audio, and the end"),
        "y": ("uint8", "(N,) the digit"),
        "is_test": ("bool", "(N,) whether its number, the last part of its file's name, is below 5"),
    },
    origin="The Free Spoken Digit Dataset (Zohar Jackson and others, CC BY-SA 4.0) is published at\n"
    "https://github.com/Jakobovski/free-spoken-digit-dataset as WAV files, <digit>_<speaker>_<number>.wav.",
)


def recordings() -> dict[str, tuple[Array, Array]]:
    """Return waveforms (N, 8000), int16, and digits (N,) for train (2,700) and test (300).

    Each recording is cut, or filled up with zeros at its end, to one second.
    """
    stored = ARCHIVE.read()
    audio, ends = stored["audio"], stored["offset"]
    waveforms = np.zeros((len(ends) - 1, LENGTH), np.int16)
    for row, (start, end) in enumerate(pairwise(ends)):
        clip = audio[start:end][:LENGTH]
        waveforms[row, : len(clip)] = clip
    test = stored["is_test"]
    return {"train": (waveforms[~test], stored["y"][~test]), "test": (waveforms[test], stored["y"][test])}
