# SPDX-License-Identifier: Apache-2.0
"""The stages of `bare_demo.py` as steps of a ZenML pipeline, as somebody has them who uses ZenML already.

python benchmarks/bare_zenml.py FOLDER
"""

import sys
from pathlib import Path

import bare_demo
from zenml import pipeline, step


@step(enable_cache=False)
def stage(number: int, folder: str) -> None:
    bare_demo.do(Path(folder), *bare_demo.STAGES[number])


@pipeline(dynamic=True, enable_cache=False)
def demo(folder: str) -> None:
    for number, (name, argument, _) in enumerate(bare_demo.STAGES):
        stage(number, folder, id=f"{name}_{argument}".strip("_"))


if __name__ == "__main__":
    demo(str(Path(sys.argv[1]).absolute()))
