# SPDX-License-Identifier: Apache-2.0
"""The stages of `bare_demo.py` as steps of a ZenML pipeline, as somebody has them who uses ZenML already.

python benchmarks/bare_zenml.py FOLDER [bare_ladder]
"""

import importlib
import sys
from pathlib import Path

from zenml import pipeline, step


@step(enable_cache=False)
def stage(number: int, folder: str, script: str) -> None:
    stages = importlib.import_module(script)
    stages.do(Path(folder), *stages.STAGES[number])


@pipeline(dynamic=True, enable_cache=False)
def demo(folder: str, script: str) -> None:
    for number, (name, argument, _) in enumerate(importlib.import_module(script).STAGES):
        stage(number, folder, script, id=f"{name}_{argument}".strip("_"))


if __name__ == "__main__":
    demo(str(Path(sys.argv[1]).absolute()), *(sys.argv[2:] or ["bare_demo"]))
