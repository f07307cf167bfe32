# SPDX-License-Identifier: Apache-2.0
"""Front ends: what they compute is the definition, a tone lands in its band, and what cannot be computed says which key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.fft import dct
from scipy.signal import get_window, stft

from edgewright.config import DataSpec, Preprocessing
from edgewright.config.data import MFCC, FrontEnd, LogMel
from edgewright.data.load import load_dataset
from edgewright.errors import ConfigError, DataError
from edgewright.onboard import front_end as module
from edgewright.onboard.front_end import FLOOR, features, mel_filters
from edgewright.onboard.preprocess import prepare, sample_rank

RATE = 8000
SMALL = LogMel(sample_rate=RATE, frame_ms=32, hop_ms=20, bands=20)
NOISE = np.random.default_rng(0).normal(0, 0.1, (3, 4000))


def tone(frequency: float) -> np.ndarray[Any, Any]:
    return np.sin(2 * np.pi * frequency * np.arange(RATE // 2) / RATE)[None]


def mel(frequency: Any) -> Any:
    return 2595 * np.log10(1 + np.asarray(frequency) / 700)


def test_log_mel_is_the_logarithm_of_scipys_spectrogram_in_mel_bands() -> None:
    window = get_window("hann", 256)
    _, _, spectrum = stft(NOISE, RATE, window, 256, 256 - 160, boundary=None, padded=False)
    power = np.abs(spectrum * window.sum()) ** 2
    expected = np.log(np.maximum(power.swapaxes(1, 2) @ mel_filters(SMALL), FLOOR))
    np.testing.assert_allclose(features(NOISE, SMALL), expected, atol=1e-5)


def test_one_value_by_hand_with_a_direct_transform_of_a_frame_that_is_no_power_of_two() -> None:
    """25 ms are 200 samples, which a transform of 256 fills up with zeros."""
    front_end = LogMel(sample_rate=RATE, frame_ms=25, hop_ms=10, bands=10)
    frame = NOISE[1, 3 * 80 : 3 * 80 + 200] * get_window("hann", 200)
    frequencies = np.arange(129) * RATE / 256
    power = np.abs(np.exp(-2j * np.pi * np.outer(frequencies / RATE, np.arange(200))) @ frame) ** 2
    low, centre, high = np.interp(
        np.linspace(mel(20), mel(4000), 12)[6:9], mel(np.arange(0, 4001, 0.1)), np.arange(0, 4001, 0.1)
    )
    triangle = np.interp(frequencies, [low, centre, high], [0, 1, 0])
    assert features(NOISE, front_end)[1, 3, 6] == pytest.approx(np.log(triangle @ power), abs=1e-3)


def test_mfcc_is_the_first_coefficients_of_scipys_dct() -> None:
    front_end = MFCC(sample_rate=RATE, frame_ms=32, hop_ms=20, bands=20, coefficients=7)
    expected = dct(features(NOISE, SMALL), type=2, norm="ortho")[..., :7]
    np.testing.assert_allclose(features(NOISE, front_end), expected, atol=1e-4)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 3000.0])
def test_a_tone_lands_in_the_band_around_it(frequency: float) -> None:
    centres = np.linspace(mel(20), mel(4000), SMALL.bands + 2)[1:-1]
    loudest = features(tone(frequency), SMALL)[0].mean(axis=0).argmax()
    assert loudest == np.abs(centres - mel(frequency)).argmin()


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(features(np.zeros((1, 4000)), SMALL), np.log(FLOOR), rtol=1e-6)


@pytest.mark.parametrize(("length", "frames"), [(256, 1), (415, 1), (416, 2), (8000, 49)])
def test_only_whole_frames_are_taken(length: int, frames: int) -> None:
    assert features(np.zeros((2, length)), SMALL).shape == (2, frames, 20)


def test_features_of_a_sample_do_not_depend_on_its_company(monkeypatch: pytest.MonkeyPatch) -> None:
    together = features(NOISE, SMALL)
    monkeypatch.setattr(module, "_BLOCK", 1)
    np.testing.assert_array_equal(features(NOISE, SMALL), together)
    np.testing.assert_array_equal(features(NOISE[2:], SMALL), together[2:])


@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (3, 1, 24, 20)), ("NHWC", (3, 24, 20, 1))])
def test_int16_waveforms_become_images_scaled_before_and_normalized_after(layout: str, shape: tuple[int, ...]) -> None:
    stored = (NOISE * 32768).round().astype(np.int16)
    means = tuple(float(band) for band in range(20))
    preprocessing = Preprocessing(scale=1 / 32768, mean=means, std=(2.0,), layout="L", front_end=SMALL)
    found = prepare(stored, preprocessing, layout)
    expected = (features(stored / 32768, SMALL) - np.arange(20)) / 2
    np.testing.assert_allclose(found.reshape(3, 24, 20), expected, atol=1e-4)
    assert (found.shape, found.dtype, sample_rank(stored, preprocessing)) == (shape, np.float32, 3)


@pytest.mark.parametrize("front_end", [SMALL, MFCC(sample_rate=16000)])
def test_it_travels_with_the_manifest(front_end: FrontEnd) -> None:
    """Also where only what was set is written, as pipelines hand configurations on."""
    preprocessing = Preprocessing(layout="L", front_end=front_end)
    for everything in (True, False):
        text = preprocessing.model_dump_json(exclude_unset=not everything)
        assert Preprocessing.model_validate_json(text) == preprocessing


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "log_mel", "sample_rate": 8000, "high_frequency": 6000}, "high_frequency 6000 is above half the sample rate"),
        ({"kind": "log_mel", "sample_rate": 8000, "low_frequency": 4000}, "low_frequency 4000 is not below high_frequency"),
        ({"kind": "log_mel", "sample_rate": 8000, "hop_ms": 0.01}, "frame_ms and hop_ms give 320 and 0 samples"),
        ({"kind": "log_mel", "sample_rate": 8000, "coefficients": 5}, "Extra inputs"),
        ({"kind": "mfcc", "sample_rate": 8000, "bands": 8}, "10 coefficients cannot be taken of 8 bands"),
        ({"kind": "log_mel"}, "sample_rate"),
        ({"kind": "spectrogram", "sample_rate": 8000}, "'log_mel', 'mfcc'"),
    ],
)
def test_a_front_end_that_contradicts_itself_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Preprocessing.model_validate({"front_end": given})


def test_what_a_front_end_cannot_take_names_the_key() -> None:
    with pytest.raises(ValidationError, match=r"layout: L\); layout is HW"):
        Preprocessing(layout="HW", front_end=SMALL)
    with pytest.raises(ConfigError, match="256 samples long, a stored sample only 200") as caught:
        features(NOISE[:, :200], SMALL)
    assert caught.value.where == "data.preprocessing.front_end.frame_ms"
    with pytest.raises(ConfigError, match="band 1 lies between two frequencies") as caught:
        features(NOISE, LogMel(sample_rate=RATE, frame_ms=10, bands=80))
    assert caught.value.where == "data.preprocessing.front_end.bands"
    with pytest.raises(ConfigError, match="mean has 3 numbers, the data has 20 bands"):
        prepare(NOISE, Preprocessing(layout="L", front_end=SMALL, mean=(1.0, 2.0, 3.0)), "NCHW")


def test_images_are_no_waveforms(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", x=np.zeros((40, 8, 8)), y=np.arange(40) % 2)
    spec = DataSpec(source=str(tmp_path / "images.npz"), preprocessing=Preprocessing(front_end=SMALL))
    with pytest.raises(DataError, match=r"layout L does not fit samples of shape \(8, 8\)"):
        load_dataset(spec, "classification", 0, tmp_path / "data")
