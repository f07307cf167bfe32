# SPDX-License-Identifier: Apache-2.0
"""Front ends: a waveform becomes a log-mel spectrogram or MFCCs, the same on host and device.

In NumPy alone, which is all a device has. Each frame is computed for itself, so that a sample's features do not depend
on which samples are prepared with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import ConfigError

if TYPE_CHECKING:
    from edgewright.config.data import FrontEnd, Spectral

Array = NDArray[Any]
KEY = "data.preprocessing.front_end"
FLOOR = 1e-6
"""Smallest band energy a logarithm is taken of: -60 dB of a waveform that reaches from -1 to 1."""
#: samples of waveform in work at a time: frames overlap, and their spectra are complex
_BLOCK = 2**20


def features(waveforms: Array, front_end: FrontEnd) -> Array:
    """Turn waveforms (N, T) into float32 log-mel spectrograms (N, frames, bands) or MFCCs (N, frames, coefficients).

    Frames that would reach beyond the end are left out: 1 + (T - frame) // hop of them.

    Raises:
        ConfigError: these are no waveforms, a frame is longer than them, or a band is too narrow to hold a frequency.
    """
    if waveforms.ndim != 2:
        raise ConfigError(
            f"a stored sample has the shape {waveforms.shape[1:]}, a front end takes a waveform, (length,)",
            where="data.preprocessing.layout",
            to_do="store one channel (layout L), or leave front_end out",
        )
    length = waveforms.shape[1]
    frame, hop = frame_length(front_end), hop_length(front_end)
    if frame > length:
        raise ConfigError(
            f"a frame of {front_end.frame_ms:g} ms is {frame} samples long, a stored sample only {length}",
            where=f"{KEY}.frame_ms",
            to_do="shorten the frame, check sample_rate, or store longer samples",
        )
    block = max(1, _BLOCK // length)
    parts = [_features(waveforms[at : at + block], front_end) for at in range(0, len(waveforms), block)]
    width = front_end.coefficients if front_end.kind == "mfcc" else front_end.bands
    empty = np.zeros((0, 1 + (length - frame) // hop, width), np.float32)
    return np.concatenate([empty, *parts])


def frame_length(front_end: Spectral) -> int:
    """Samples of a frame."""
    return round(front_end.sample_rate * front_end.frame_ms / 1000)


def hop_length(front_end: Spectral) -> int:
    """Samples from the start of one frame to the start of the next."""
    return round(front_end.sample_rate * front_end.hop_ms / 1000)


def _features(waveforms: Array, front_end: FrontEnd) -> Array:
    frame = frame_length(front_end)
    frames = np.lib.stride_tricks.sliding_window_view(waveforms, frame, axis=1)[:, :: hop_length(front_end)]
    spectrum = np.fft.rfft(frames * hann(frame), fft_length(frame))
    energies = (spectrum.real**2 + spectrum.imag**2) @ mel_filters(front_end)
    logarithms = np.log(np.maximum(energies, FLOOR))
    if front_end.kind == "mfcc":
        logarithms = logarithms @ dct(front_end.bands)[:, : front_end.coefficients]
    return logarithms.astype(np.float32)


def hann(length: int) -> Array:
    """Periodic Hann window, as spectral analysis wants it (Harris, 1978, doi:10.1109/PROC.1978.10837)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def fft_length(frame: int) -> int:
    """Power of two that a frame is filled up to with zeros: what transforms on devices are made for."""
    return 1 << (frame - 1).bit_length()


@lru_cache(maxsize=8)
def mel_filters(front_end: FrontEnd) -> Array:
    """Weights (fft_length / 2 + 1, bands): triangles of height 1 whose corners are equally far apart in mel.

    Mel is 2595 log10(1 + f / 700), as in HTK (Young et al., The HTK Book, section 5.4).

    Raises:
        ConfigError: a band holds no frequency of the transform.
    """
    high = front_end.high_frequency or front_end.sample_rate / 2
    ends = 2595 * np.log10(1 + np.array([front_end.low_frequency, high]) / 700)
    corners = 700 * (10 ** (np.linspace(ends[0], ends[1], front_end.bands + 2) / 2595) - 1)
    length = fft_length(frame_length(front_end))
    frequencies = np.arange(length // 2 + 1)[:, None] * front_end.sample_rate / length
    rising = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(filters.sum(axis=0) == 0)
    if len(empty):
        raise ConfigError(
            f"{front_end.bands} bands are too many: band {empty[0] + 1} lies between two frequencies of the spectrum, "
            f"{front_end.sample_rate / length:.4g} Hz apart",
            where=f"{KEY}.bands",
            to_do="take fewer bands, longer frames, or a higher low_frequency",
        )
    return filters


def dct(size: int) -> Array:
    """Matrix (size, size) of the orthonormal DCT-II, a column a coefficient (Ahmed et al., doi:10.1109/T-C.1974.223784)."""
    matrix: Array = np.sqrt(2 / size) * np.cos(np.pi * (np.arange(size)[:, None] + 0.5) * np.arange(size) / size)
    matrix[:, 0] /= np.sqrt(2)
    return matrix
