# SPDX-License-Identifier: Apache-2.0
import numpy as np

STATES = ["normal", "cavitation", "clogged"]


def measure(count: int, seed: int, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Pressure, flow and vibration of pumps in three states; ``offset`` is what all sensors are off by."""
    rng = np.random.default_rng(seed)
    state = rng.integers(3, size=count)
    means = np.array([[0.0, 0.0, 0.0], [-1.5, 0.5, 2.0], [2.0, -2.0, 0.5]])
    return (means[state] + rng.normal(0, 0.7, (count, 3)) + offset).astype(np.float32), state


if __name__ == "__main__":
    for name, seed, offset in (("spring", 1, 0.0), ("autumn", 2, 1.0)):
        x, y = measure(4000 if name == "spring" else 2000, seed, offset)
        np.savez(f"{name}.npz", x=x, y=y, labels=STATES)
