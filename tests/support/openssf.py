# SPDX-License-Identifier: Apache-2.0
"""OpenSSF's model_signing command, in an environment of its own that `make install` makes."""

import subprocess
import sys
from pathlib import Path

_COMMAND = Path(sys.prefix) / "model-signing" / "bin" / "model_signing"


def verify_model(folder: Path, signature: Path, public: Path) -> subprocess.CompletedProcess[str]:
    """Verify a model's folder with a public key."""
    arguments = ["verify", "key", "--signature", str(signature), "--public_key", str(public), str(folder)]
    return subprocess.run([str(_COMMAND), *arguments], capture_output=True, text=True, check=False)
