# SPDX-License-Identifier: Apache-2.0
"""Models of a user's own, as module `own_prunable`: branches, groups, shuffles, and what pruning cannot follow."""

import torch
from torch import nn

from edgewright.config import ModelSpec
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build

OWN = """
import pathlib
import torch
from torch import nn

def joined(sample, outputs):
    return Joined(sample[0], outputs)

class Joined(nn.Module):
    '''Grouped and depthwise convolutions, two paths that are concatenated and one that is added.'''
    def __init__(self, channels, outputs):
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, padding_mode="circular", bias=False)
        self.norm = nn.BatchNorm2d(16, eps=0.01)
        self.left = nn.Sequential(nn.Conv2d(16, 12, 3, padding="same", groups=4), nn.PReLU(12))
        self.right = nn.Conv2d(16, 8, 1)
        self.deep = nn.Sequential(nn.Conv2d(20, 20, 3, padding=1, groups=20), nn.BatchNorm2d(20), nn.ReLU())
        self.merge = nn.Conv2d(20, 16, 1)
        self.head = nn.Linear(16, outputs)
    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        both = self.deep(torch.cat([self.left(x), self.right(x)], 1))
        return self.head((x + self.merge(both)).mean((2, 3)))

def over_time(sample, outputs):
    layers = nn.Conv1d(sample[0], 16, 3), nn.BatchNorm1d(16, affine=False), nn.ReLU(), nn.Conv1d(16, 16, 3), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(64, outputs))

def ends_in_convolution(sample, outputs):
    layers = nn.Conv2d(sample[0], 24, 3), nn.GroupNorm(4, 24), nn.PReLU(), nn.Conv2d(24, outputs, 3)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

def up_and_down(sample, outputs):
    layers = nn.Conv2d(sample[0], 16, 3), nn.ReLU(), nn.ConvTranspose2d(16, 12, 3), nn.LayerNorm(8), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(768, outputs))

def normed(sample, outputs):
    layers = nn.Flatten(), nn.Linear(64, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, outputs)
    return nn.Sequential(*layers)

def frozen(sample, outputs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, outputs))
    model[1].requires_grad_(False)
    return model

class HardCoded(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 8, 3, 2), nn.Linear(72, outputs)
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).view(-1, 72))

def hard_coded(outputs): return HardCoded(outputs)

class Shuffled(nn.Module):
    def __init__(self, outputs, again):
        super().__init__()
        self.conv, self.again = nn.Conv2d(1, 8, 3, 2), nn.Conv2d(8, 8, 3) if again else nn.Identity()
        self.head = nn.Linear(8 if again else 72, outputs)
    def forward(self, x):
        x = torch.relu(self.conv(x))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(self.again(x).flatten(1))

def shuffled(outputs, again=True): return Shuffled(outputs, again)
def shuffled_last(outputs): return Shuffled(outputs, False)

def single(sample, outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))

class Scaled(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.one, self.scale, self.two = nn.Linear(64, 32), nn.Parameter(torch.ones(32)), nn.Linear(32, outputs)
    def forward(self, x):
        return self.two(torch.relu(self.one(x.flatten(1)) * self.scale))

def scaled(outputs): return Scaled(outputs)

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    at = pathlib.Path("interrupt_at")
    if at.exists() and len(pathlib.Path("epochs.txt").read_text()) == int(at.read_text()):
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""


IMAGE, WINDOW = (1, 8, 8), (3, 32)


def untrained(architecture: str, sample: tuple[int, ...] = IMAGE, outputs: int = 10) -> nn.Module:
    name = architecture if architecture in PyTorch().architectures else f"own_prunable:{architecture}"
    torch.manual_seed(0)
    model = build(ModelSpec(architecture=name), sample, outputs).eval()
    for layer in model.modules():  # statistics and factors that differ from channel to channel
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features)
            layer.running_var = torch.rand(layer.num_features) + 0.5
    return model
