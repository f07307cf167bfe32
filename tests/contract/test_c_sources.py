# SPDX-License-Identifier: Apache-2.0
"""A model as C sources: they compile, hold the file's bytes, and prepare samples as edgewright does."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tflite_artifacts import SAMPLE

from edgewright.artifact import Artifact
from edgewright.config.data import MFCC, Preprocessing, SampleLayout
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.integrations.runtimes.tflite_micro.sources import write_sources
from edgewright.package import package_artifact
from edgewright.runtime import OperatorUse, quantize_input

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
#: reads samples as text from standard input, prints size and digest-like sum of the model, and each prepared value
HARNESS = """
#include <stdio.h>
#include "edgewright_model.h"
int main(void) {
  float sample[EDGEWRIGHT_INPUT_VALUES];
  edgewright_input_t input[EDGEWRIGHT_INPUT_VALUES];
  for (int i = 0; i < EDGEWRIGHT_MODEL_SIZE; ++i) printf("%d ", edgewright_model[i]);
  printf("\\n%s\\n%.9g\\n", edgewright_labels[1], (double)edgewright_real(5));
  for (int i = 0; i < EDGEWRIGHT_INPUT_VALUES; ++i) if (scanf("%f", &sample[i]) != 1) return 1;
  edgewright_prepare(sample, input);
  for (int i = 0; i < EDGEWRIGHT_INPUT_VALUES; ++i) printf("%.9g ", (double)input[i]);
  return 0;
}
"""
#: TensorFlow Lite Micro's headers are in no package: as much of them as the example uses, to check its syntax
HEADERS = {
    "micro/micro_interpreter.h": """
        #pragma once
        #include <cstddef>
        #include <cstdint>
        enum TfLiteStatus { kTfLiteOk, kTfLiteError };
        #define TF_LITE_ENSURE_STATUS(a) do { const TfLiteStatus s = (a); if (s != kTfLiteOk) return s; } while (0)
        struct TfLiteTensor { union { char* raw; } data; };
        namespace tflite {
        struct Model { uint32_t version() const; };
        struct MicroOpResolver {};
        struct MicroInterpreter {
          MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t);
          TfLiteStatus AllocateTensors(); TfLiteStatus Invoke();
          TfLiteTensor* input(size_t); TfLiteTensor* output(size_t);
        };
        }""",
    "micro/micro_log.h": "#pragma once\nvoid MicroPrintf(const char*, ...);\n",
    "micro/micro_mutable_op_resolver.h": """
        #pragma once
        #include "tensorflow/lite/micro/micro_interpreter.h"
        namespace tflite {
        template <unsigned int n> struct MicroMutableOpResolver : MicroOpResolver {
          TfLiteStatus AddConv2D(); TfLiteStatus AddFullyConnected(); TfLiteStatus AddMean(); TfLiteStatus AddPad();
          TfLiteStatus AddTranspose();
        };
        }""",
    "schema/schema_generated.h": """
        #pragma once
        #define TFLITE_SCHEMA_VERSION 3
        namespace tflite { inline const Model* GetModel(const void*) { return nullptr; } }""",
}


@pytest.fixture(scope="module")
def made(network_files: tuple[Artifact, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return package_artifact(network_files[1], "tflite_micro", {"c_sources": True}, tmp_path_factory.mktemp("made"))


def run_in_c(folder: Path, sample: np.ndarray, tmp_path: Path) -> list[str]:
    """Compile the C sources with a harness, hand it one stored sample, and return what it prints, by line."""
    harness, program = tmp_path / "harness.c", tmp_path / "harness"
    harness.write_text(HARNESS)
    sources = [str(harness), str(folder / "edgewright_model.c")]
    subprocess.run(["gcc", "-std=c99", *WARNINGS, f"-I{folder}", *sources, "-lm", "-o", str(program)], check=True)
    given = " ".join(f"{value:.9g}" for value in sample.reshape(-1))
    return subprocess.run([str(program)], input=given, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_sources_hold_the_file_and_prepare_samples_to_the_bit(
    made: Artifact, network_data: Dataset, tmp_path: Path
) -> None:
    spec, answer = made.facts.inputs[0], made.facts.outputs[0]
    model, label, real, prepared = run_in_c(made.path, network_data.stored("test")[0], tmp_path)
    assert bytes(int(byte) for byte in model.split()) == made.main_file.read_bytes()
    assert label == "b"
    assert answer.scale is not None
    assert float(real) == pytest.approx((5 - answer.zero_point) * answer.scale, rel=1e-6)
    wanted = quantize_input(network_data.inputs("test", spec.layout)[:1], spec)
    np.testing.assert_array_equal(np.array(prepared.split(), float), wanted.reshape(-1))


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
def test_layout_mean_and_std_are_those_of_the_manifest(
    layout: SampleLayout, network_files: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    preprocessing = Preprocessing(scale=1 / 255, mean=(0.5, 0.3, 0.1), std=(0.25, 0.2, 0.15), layout=layout)
    facts = network_files[0].facts.model_copy(update={"preprocessing": preprocessing})
    copy = tmp_path / "model.tflite"
    copy.write_bytes(network_files[0].main_file.read_bytes())
    write_sources(copy, facts, [], 1024)
    stored = np.random.default_rng(0).integers(0, 256, SAMPLE).astype(np.float32)
    wanted = (stored / 255 - np.array([0.5, 0.3, 0.1])) / np.array([0.25, 0.2, 0.15])
    given = np.moveaxis(stored, -1, 0) if layout == "CHW" else stored
    prepared = np.array(run_in_c(tmp_path, given, tmp_path)[3].split(), float)
    np.testing.assert_allclose(prepared, wanted.reshape(-1), rtol=1e-5, atol=1e-6)


def test_the_arena_is_the_smallest_that_the_file_opens_in(made: Artifact) -> None:
    reserved = re.search(r"#define EDGEWRIGHT_ARENA_BYTES (\d+)", (made.path / "edgewright_model.h").read_text())
    assert reserved is not None
    assert int(reserved.group(1)) == TFLiteMicro().load(made.main_file, 1).arena_bytes()
    assert made.facts.package is not None
    assert f"{int(reserved.group(1)):,} bytes of arena" in made.facts.package.notes[0]
    assert made.facts.size_bytes == made.main_file.stat().st_size  # what the array takes in flash


def test_the_example_registers_the_operators_of_the_file_and_no_others(made: Artifact, tmp_path: Path) -> None:
    example = (made.path / "example_main.cc").read_text()
    registered = re.findall(r"resolver\.Add(\w+)\(\)", example)
    assert registered == ["Conv2D", "FullyConnected", "Mean", "Pad", "Transpose"]
    assert "MicroMutableOpResolver<5>" in example
    for name, text in HEADERS.items():
        header = tmp_path / "tensorflow/lite" / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(text)
    command = ["g++", "-std=c++17", "-fsyntax-only", *WARNINGS, f"-I{tmp_path}", str(made.path / "example_main.cc")]
    subprocess.run(command, check=True)


def test_names_of_others_end_neither_a_comment_nor_a_string(network_files: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    file = tmp_path / "a\n#error.tflite"
    file.write_bytes(network_files[0].main_file.read_bytes())
    facts = network_files[0].facts.model_copy(update={"labels": ('"; }', "schön\\", "\n"), "recipe": "*/"})
    write_sources(file, facts, [], 16)
    for name in ("edgewright_model.c", "edgewright_model.h"):
        subprocess.run(["g++", "-fsyntax-only", "-x", "c++", "-Wall", str(tmp_path / name)], check=True)
    assert not re.search(r"^#error", (tmp_path / "example_main.cc").read_text(), re.MULTILINE)


def test_a_front_end_leaves_its_constants(network_files: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    front_end = MFCC(sample_rate=8000, coefficients=10)
    facts = network_files[0].facts.model_copy(
        update={"preprocessing": Preprocessing(scale=2.0, mean=tuple(range(10)), layout="L", front_end=front_end)}
    )
    file = tmp_path / "model.tflite"
    file.write_bytes(network_files[0].main_file.read_bytes())
    write_sources(file, facts, [], 16)
    header = (tmp_path / "edgewright_model.h").read_text()
    for constant in ("SAMPLE_RATE 8000", "FRAME 320", "HOP 160", "MEL_BANDS 40", "MFCC_COEFFICIENTS 10", "WAVEFORM_SCALE 2.0f"):
        assert f"#define EDGEWRIGHT_{constant}\n" in header
    assert "#define EDGEWRIGHT_CHANNELS 10\n" in header


def test_a_custom_operator_is_refused(network_files: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"custom operator ethos-u \(a\)"):
        write_sources(network_files[1].main_file, network_files[1].facts, [OperatorUse("ethos-u", "a", "o")], 16)
