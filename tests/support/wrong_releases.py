# SPDX-License-Identifier: Apache-2.0
"""What users do wrong in data, models and targets: the files they have, what release.yaml says, and what they must be told.

A case is (files, top-level keys of release.yaml, parts of the message). `WRONG` is refused by `edgewright check`;
`WRONG_ONCE_IT_RUNS` shows only while the release is under way.
"""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

Files = dict[str, str | bytes]
Case = tuple[Files, dict[str, Any], list[str]]

X = np.random.default_rng(0).uniform(-1, 1, (120, 4, 4)).astype(np.float32)
Y = np.arange(120) % 3
TABLE = "a,b,label\n" + "".join(f"{row},{row * row % 7},{('cat', 'dog')[row % 2]}\n" for row in range(60))


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def pt(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def png(value: int, size: int = 4) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def changed(array: Any, at: Any, value: float) -> Any:
    copy = array.copy()
    copy[at] = value
    return copy


def data(**section: Any) -> dict[str, Any]:
    return {"data": {"preprocessing": {"layout": "HW"}, **section}}


def table(**section: Any) -> dict[str, Any]:
    return {"data": {"source": "d.csv", **section}}


def model(architecture: str = "mlp", **section: Any) -> dict[str, Any]:
    own = {"hidden": []} if architecture == "mlp" else {}
    return {"model": {"architecture": architecture, "options": own, "training": {"epochs": 3}, **section}}


def target(**section: Any) -> dict[str, Any]:
    return {"targets": [{"name": "a", "runtime": "null", "device": "null", **section}]}


PETS: Files = {f"pets/{kind}/{n}.png": png(20 * n + shift) for shift, kind in enumerate(("cats", "dogs")) for n in range(12)}

SOURCES = """\
import numpy as np
def refuses(): raise ConnectionError('the server said no')
def leaves(): raise SystemExit(0)
def text(): return 'samples'
def lists(): return [[1.0]], [0]
def asks(path): return None
def misnamed(): return {'train': (np.zeros((30, 4)), np.arange(30) % 2), 'tst': (np.zeros((3, 4)), np.zeros(3))}
"""

NETS = """\
from torch import nn
def build(sample, outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
def three(sample): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
def narrow(outputs): return nn.Sequential(nn.Flatten(), nn.Linear(63, outputs))
def text(): return 'a model'
def asks(width): return nn.Linear(64, width)
class Two(nn.Module):
    def __init__(self):
        super().__init__()
    def forward(self, x): return x, x
class OneByOne(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.last = nn.Linear(64, outputs)
    def forward(self, x): return self.last(x.reshape(1, 64))
class InAList(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.layers = [nn.Flatten(), nn.Linear(64, outputs)]
    def forward(self, x): return self.layers[1](self.layers[0](x))
constant = 3
"""

TOOLS = """\
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.runtime import Runtime
class Needs(NullRuntime):
    requires = ('not_there_sdk', 'numpy')
    install = "pip install 'not-there-sdk>=2'"
class Stranger: pass
class Half(Runtime): pass
class Unlicensed(NullRuntime):
    def __init__(self): raise RuntimeError('no licence file')
"""

#: what is wrong -> files, keys of release.yaml, what has to be said
WRONG: dict[str, Case] = {
    # ---- data: the source ----
    "file that is not there": ({"train.csv": TABLE}, data(source="trian.csv"), ["'trian.csv'", "did you mean 'train.csv'?"]),
    "file of another type": ({"d.txt": "1"}, data(source="d.txt"), ["'.txt' are not read", ".npz, .csv or .parquet"]),
    "empty archive": ({"d.npz": npz()}, data(source="d.npz"), ["holds nothing", "d.npz", "store x and y"]),
    "text called archive": ({"d.npz": "hello"}, data(source="d.npz"), ["no .npz file", "numpy.savez"]),
    "pickled objects": (
        {"d.npz": npz(x=np.array([{1: 2}] * 4, object), y=Y[:4])},
        data(source="d.npz"),
        ["without Python objects", "can run any code"],
    ),
    "no samples": ({"d.npz": npz(x=X[:0], y=Y[:0])}, data(source="d.npz"), ["there are no samples"]),
    "labels too few": ({"d.npz": npz(x=X, y=Y[:100])}, data(source="d.npz"), ["120 samples and 100 labels"]),
    "samples too few": ({"d.npz": npz(x=X[:6], y=Y[:6])}, data(source="d.npz"), ["has 2 samples, too few", "bring about 20"]),
    "column that is not there": ({"d.csv": "a,lable\n1,x\n2,y\n"}, table(), ["no column 'label'", "did you mean 'lable'?"]),
    "table in UTF-16": ({"d.csv": TABLE.encode("utf-16")}, table(), ["cannot be read", "UTF-8"]),
    "text among numbers": ({"d.csv": TABLE + "n/a?,1,cat\n"}, table(), ["column 'a' is not numeric: row 61 holds 'n/a?'"]),
    "Parquet cut short": ({"d.parquet": b"PAR1 cut"}, table(source="d.parquet"), ["cannot be read", "d.parquet"]),
    "image cut short": (PETS | {"pets/cats/5.png": png(1)[:40]}, data(source="pets"), ["image 5.png cannot be read"]),
    "images of two sizes": (
        PETS | {"pets/dogs/wide.png": png(1, size=5)},
        data(source="pets"),
        ["wide.png is (5, 5)", "data.image_size"],
    ),
    # ---- data: functions ----
    "function that raises": (
        {"src.py": SOURCES},
        data(source="src:refuses"),
        ["ConnectionError: the server said no", "src.refuses()"],
    ),
    "function that ends Python": ({"src.py": SOURCES}, data(source="src:leaves"), ["raised SystemExit"]),
    "script that ends Python": (
        {"src.py": "raise SystemExit(0)"},
        data(source="src:load"),
        ["'src' does not import: SystemExit"],
    ),
    "function that wants arguments": ({"src.py": SOURCES}, data(source="src:asks"), ["argument: 'path'", "without arguments"]),
    "function that returns text": (
        {"src.py": SOURCES},
        data(source="src:text"),
        ["returned str", "return (x, y) as NumPy arrays"],
    ),
    "function that returns lists": ({"src.py": SOURCES}, data(source="src:lists"), ["returned (list, list)"]),
    "function with a split misspelt": (
        {"src.py": SOURCES},
        data(source="src:misnamed"),
        ["train, tst", "did you mean 'test'?"],
    ),
    "function misspelt": ({"src.py": SOURCES}, data(source="src:refuse"), ["no 'refuse'", "did you mean 'refuses'?"]),
    # ---- data: labels and values ----
    "one class": ({"d.npz": npz(x=X, y=Y * 0)}, data(source="d.npz"), ["one class only: '0'"]),
    "missing labels": (
        {"d.npz": npz(x=X, y=changed(Y.astype(float), 5, np.nan))},
        data(source="d.npz"),
        ["1 labels are missing", "row 6"],
    ),
    "unknown label": (
        {"d.csv": TABLE + "1,2,dgo\n"},
        table(labels=["cat", "dog"]),
        ["'dgo' is not among the known ones, in row 61", "did you mean 'dog'?"],
    ),
    "label beyond the names": (
        {"d.npz": npz(x=X, y=changed(Y, 4, 3))},
        data(source="d.npz", labels=["x", "y", "z"]),
        ["label 3 is no index into the 3 names, in row 5"],
    ),
    "text for regression": (
        {"d.npz": npz(x=X, y=np.array(["a", "b"] * 60))},
        data(source="d.npz") | {"task": "regression"},
        ["labels are not numbers"],
    ),
    "NaN among the samples": (
        {"d.npz": npz(x=changed(X, (7, 2, 2), np.nan), y=Y)},
        data(source="d.npz"),
        ["breaks 1 rule", "missing", "row 8 ("],
    ),
    "infinity among the samples": (
        {"d.npz": npz(x=changed(X, (7, 2, 2), np.inf), y=Y)},
        data(source="d.npz"),
        ["every value is finite", "row 8 (", "holds inf"],
    ),
    "value out of range": (
        {"d.npz": npz(x=changed(X, (7, 2, 2), 3), y=Y)},
        data(source="d.npz", checks={"value_range": [-1, 1]}),
        ["every value lies in [-1, 1]", "row 8 (", "holds 3.0"],
    ),
    "rare class": (
        {"d.npz": npz(x=X, y=(np.arange(120) < 8).astype(int))},
        data(source="d.npz", checks={"min_class_share": 0.2}),
        ["class_balance", "train: class '1' has 6.67% (4 of 60)"],
    ),
    "duplicates across splits": (
        {"d.npz": npz(x=np.concatenate([X, X[:30]]), y=np.concatenate([Y, Y[:30]]))},
        data(source="d.npz"),
        ["stand in more than one split", "row 3 (train) = row 123 ("],
    ),
    # ---- data: preprocessing and the user's own suite ----
    "layout of another rank": ({}, data(preprocessing={"layout": "HWC"}), ["layout HWC does not fit", "HW, LC or CL"]),
    "mean of another length": (
        {},
        data(preprocessing={"layout": "HW", "mean": [0.1, 0.2, 0.3]}),
        ["mean has 3 numbers, the data has 1 channel", "data.preprocessing.mean"],
    ),
    "suite that is not there": (
        {"suite.json": "{}"},
        data(checks={"suite": "siute.json"}),
        ["no file 'siute.json'", "did you mean 'suite.json'?"],
    ),
    "suite that is not JSON": ({"suite.json": "{"}, data(checks={"suite": "suite.json"}), ["the suite cannot be read"]),
    "expectation misspelt": (
        {"suite.yaml": "expectations: [{type: expect_column_value_to_be_between, kwargs: {column: label}}]"},
        data(checks={"suite": "suite.yaml"}),
        ["suite.yaml, expectation 1", "did you mean 'expect_column_values_to_be_between'?"],
    ),
    "expectation of no column": (
        {"suite.yaml": "expectations: [{type: expect_column_values_to_be_between, kwargs: {column: nope, min_value: 0}}]"},
        data(checks={"suite": "suite.yaml"}),
        ['"nope"', "does not exist"],
    ),
    # ---- models ----
    "architecture misspelt": ({}, model("mpl"), ["no shipped model is called 'mpl'", "did you mean 'mlp'?"]),
    "architecture of another rank": ({}, model("cnn1d"), ["sensor windows", "(1, 8, 8)", "'resnet8' or 'ds_cnn'"]),
    "option misspelt": ({}, model(options={"hiden": [3]}), ["takes no option 'hiden'", "did you mean 'hidden'?"]),
    "option of another type": ({}, model(options={"hidden": "wide"}), ["does not build: TypeError", "{'hidden': 'wide'}"]),
    "module that is not there": ({}, model("nets:build"), ["'nets' does not import", "python -c 'import nets'"]),
    "module with a syntax error": ({"nets.py": "def build(:\n"}, model("nets:build"), ["SyntaxError", "nets.py, line 1"]),
    "module that lacks a package": ({"nets.py": "import not_there\n"}, model("nets:build"), ["No module named 'not_there'"]),
    "function of the module misspelt": ({"nets.py": NETS}, model("nets:biuld"), ["no 'biuld'", "did you mean 'build'?"]),
    "function that is none": ({"nets.py": NETS}, model("nets:constant"), ["is not a function"]),
    "function that returns no model": ({"nets.py": NETS}, model("nets:text"), ["returned str, not a torch.nn.Module"]),
    "function that asks for more": ({"nets.py": NETS}, model("nets:asks"), ["needs 'width'", "model.options.width"]),
    "model of too few outputs": ({"nets.py": NETS}, model("nets:three"), ["shape (1, 3); the data needs (1, 10)"]),
    "model of other inputs": ({"nets.py": NETS}, model("nets:narrow"), ["does not take a sample of shape (1, 8, 8)"]),
    "model of two outputs": ({"nets.py": NETS}, model("nets:Two"), ["returns tuple, not one tensor"]),
    "model that fixes its batch": ({"nets.py": NETS}, model("nets:OneByOne"), ["takes one sample at a time", "x.flatten(1)"]),
    "model with hidden layers": ({"nets.py": NETS}, model("nets:InAList"), ["no weights that can be trained", "plain list"]),
    # ---- weights ----
    "weights that are not there": ({}, model(weights="w.pt"), ["no such file of weights", "w.pt"]),
    "weights of other shapes": (
        {"w.pt": pt({"1.weight": torch.zeros(3, 64), "1.bias": torch.zeros(3)})},
        model(weights="w.pt"),
        ["'1.weight' has shape (3, 64) in the file and (10, 64) in the model"],
    ),
    "weights of other names": (
        {"w.pt": pt({"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)})},
        model(weights="w.pt"),
        ["'1.weight' is missing from the file (did you mean 'fc.weight'?)"],
    ),
    "weights within a checkpoint": ({"w.pt": pt({"epoch": 3, "model": {}})}, model(weights="w.pt"), ["'epoch', 'model'"]),
    "pickled model without consent": (
        {"w.pt": pt(torch.nn.Linear(64, 10))},
        model(weights="w.pt"),
        ["can run any code", "allow_pickle: true"],
    ),
    "weights cut short": (
        {"w.pt": pt({"1.weight": torch.zeros(10, 64)})[:700]},
        model(weights="w.pt"),
        ["the weights cannot be read", "check that the file is whole"],
    ),
    "weights that are none": ({"w.pt": b"abc"}, model(weights="w.pt"), ["w.pt", "state_dict"]),
    "weights of NaN": (
        {"w.pt": pt({"1.weight": torch.full((10, 64), torch.nan), "1.bias": torch.zeros(10)})},
        model(weights="w.pt", training=None),
        ["1 of 2 weights hold NaN: 1.weight"],
    ),
    # ---- targets and toolkits ----
    "toolkit that is not installed": (
        {"tools.py": TOOLS},
        target(runtime="tools:Needs"),
        ["needs not_there_sdk, which is not installed", "to do: pip install 'not-there-sdk>=2'"],
    ),
    "class that is no runtime": (
        {"tools.py": TOOLS},
        target(runtime="tools:Stranger"),
        ["is not a runtime", "edgewright.runtime.Runtime"],
    ),
    "class that is no device": (
        {"tools.py": TOOLS},
        target(device="tools:Stranger"),
        ["is not a device", "edgewright.device.Device"],
    ),
    "half a runtime": ({"tools.py": TOOLS}, target(runtime="tools:Half"), ["does not define export, inspect, load"]),
    "runtime that cannot be made": ({"tools.py": TOOLS}, target(runtime="tools:Unlicensed"), ["RuntimeError: no licence file"]),
    "runtime misspelt": ({}, target(runtime="litetr"), ["targets.0 (a).runtime", "did you mean 'litert'?"]),
    "device misspelt": ({}, target(device="nul"), ["targets.0 (a).device", "did you mean 'null'?"]),
    "runtime that is only emulated, elsewhere": (
        {},
        target(runtime="coreml", device="ssh", device_options={"host": "pi"}),
        ["runs only where edgewright is installed", "targets.0 (a).device: ssh", "take device: local"],
    ),
    "board without a folder": ({}, target(device="recorded", device_options={"board": "b", "machine": "m"}), ["folder"]),
    "option a runtime does not have": ({}, target(options={"opset": 17}), ["opset: unknown key", "targets.0 (a).options"]),
    "option of a device out of range": (
        {},
        target(device="local", device_options={"timeout": -1}),
        ["timeout: got -1; must be greater than 0"],
    ),
    "rung that no file of the runtime can hold": (
        {"tools.py": TOOLS + "class Float(NullRuntime):\n    passes = {}\n"},
        target(runtime="tools:Float", ladder=["fp16"]),
        ["cannot execute fp16", "targets.0 (a).ladder"],
    ),
    "metric that is no function": ({"own.py": "score = 3\n"}, {"metric": "own:score"}, ["'own:score' is not a function"]),
}

WRONG_ONCE_IT_RUNS: dict[str, Case] = {
    "syntax error in the data's module": (
        {"src.py": "def load(:\n"},
        data(source="src:load"),
        ["SyntaxError", "src.py, line 1"],
    ),
    "syntax error in the model's module": (
        {"nets.py": "def build(:\n"},
        model("nets:build"),
        ["SyntaxError", "nets.py, line 1"],
    ),
    "training that diverges": (
        {},
        model(options={"hidden": [16]}, training={"epochs": 3, "learning_rate": 1e30, "optimizer": "sgd"}),
        ["the loss is nan in epoch 1", "lower model.training.learning_rate"],
    ),
    "metric that raises": (
        {"own.py": "def score(labels, outputs): return 1 / 0\n"},
        {"metric": "own:score"},
        ["the metric raised ZeroDivisionError", "metric: own:score"],
    ),
    "metric that returns two numbers": (
        {"own.py": "def score(labels, outputs): return 1, 2\n"},
        {"metric": "own:score"},
        ["the metric returned tuple", "(labels, outputs) -> float"],
    ),
    "output folder below a file": ({"file": ""}, {"output": "file/out"}, ["cannot write the output folder", "file/out"]),
    "tracking store that is none": (
        {"edgewright-out/mlflow.db": "hello" * 1000},
        {},
        ["not a database", "restore the file from a copy"],
    ),
    "tracking store that is damaged": (
        {"edgewright-out/mlflow.db": b"SQLite format 3\0" + b"\x10\0\x01\x01\0\x40\x20\x20" + b"\xff" * 8192},
        {},
        ["cannot open the tracking store", "mlflow.db"],
    ),
    "tracking server that does not answer": (
        {},
        {"tracking": {"uri": "http://127.0.0.1:9"}},
        ["cannot open the tracking store: Connection refused", "http://127.0.0.1:9"],
    ),
    "tracking store of no known kind": ({}, {"tracking": {"uri": "htp://x"}}, ["unsupported URI 'htp://x'"]),
}
