# SPDX-License-Identifier: Apache-2.0
"""YOLOv5 n and n6 as published: CSP backbone, SPPF, PANet, three anchors a cell on each level."""

import torch
from torch import nn

from . import CLASSES

# Three shapes a level, in pixels: square, wide, tall. Strides 8, 16, 32 and, for P6, 64.
# tests/test_anchors.py checks them against generated boxes.
ANCHORS = {
    "n": (((22, 22), (48, 16), (16, 48)),
          ((80, 80), (150, 48), (48, 150)),
          ((280, 280), (440, 130), (130, 440))),
    "n6": (((22, 22), (48, 16), (16, 48)),
           ((70, 70), (140, 44), (44, 140)),
           ((210, 210), (400, 120), (120, 400)),
           ((600, 600), (900, 260), (260, 900))),
}
# Channels of the backbone's stages and the depth of each, already scaled by 0.25 and 0.33.
STAGES = {"n": ((32, 1), (64, 2), (128, 3), (256, 1)),
          "n6": ((32, 1), (64, 2), (128, 3), (192, 1), (256, 1))}


class Conv(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, c_in, c_out, k=1, stride=1, pad=None):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, k, stride, k // 2 if pad is None else pad, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03)

    def forward(self, x, convolve=None):
        x = convolve(self.conv.weight, x) if convolve else self.conv(x)
        x = self.bn(x) if self.bn is not None else x
        return nn.functional.silu(x)

    def fuse(self):
        """Folds the batch norm into the convolution."""
        gain = self.bn.weight / (self.bn.running_var + self.bn.eps).sqrt()
        bias = self.bn.bias - self.bn.running_mean * gain
        self.conv.weight.data *= gain.view(-1, 1, 1, 1)
        self.conv.bias = nn.Parameter(bias)
        self.bn = None


class Bottleneck(nn.Module):
    def __init__(self, c, shortcut):
        super().__init__()
        self.first, self.second, self.shortcut = Conv(c, c), Conv(c, c, 3), shortcut

    def forward(self, x):
        y = self.second(self.first(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage block: one half through bottlenecks, one half around them."""

    def __init__(self, c_in, c_out, depth, shortcut=True):
        super().__init__()
        half = c_out // 2
        self.through, self.around, self.join = Conv(c_in, half), Conv(c_in, half), Conv(2 * half, c_out)
        self.blocks = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(depth)))

    def forward(self, x):
        return self.join(torch.cat([self.blocks(self.through(x)), self.around(x)], 1))


class SPPF(nn.Module):
    """Three 5x5 poolings in a row, all kept."""

    def __init__(self, c):
        super().__init__()
        self.first, self.join = Conv(c, c // 2), Conv(c * 2, c)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.first(x)
        a = self.pool(x)
        b = self.pool(a)
        return self.join(torch.cat([x, a, b, self.pool(b)], 1))


def stem_of_blocks(weight, x):
    """The stem's 6x6 convolution of stride 2 as a 3x3 one over blocks of 2x2 pixels, which is equal;
    with 16 channels in place of 3 it is several times as fast on a GPU, where x is channels last."""
    b, _, h, w = x.shape
    blocks = x.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, 3).transpose(2, 3).flatten(3)
    blocks = nn.functional.pad(blocks, (0, 4)).permute(0, 3, 1, 2)
    weight = weight.view(-1, 3, 3, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
    return nn.functional.conv2d(blocks, nn.functional.pad(weight, (0, 0, 0, 0, 0, 4)), padding=1)


class Yolo(nn.Module):
    """forward: list of (B, 3, H/s, W/s, 5 + classes) raw values, one a level."""

    def __init__(self, shape="n6"):
        super().__init__()
        classes = len(CLASSES)
        self.shape, self.classes = shape, classes
        stages = STAGES[shape]
        self.levels = len(stages) - 1
        self.strides = tuple(8 << i for i in range(self.levels))
        self.register_buffer("anchors", torch.tensor(ANCHORS[shape], dtype=torch.float32))
        self.stem = Conv(3, 16, 6, 2, 2)
        widths = [16] + [c for c, _ in stages]
        self.down = nn.ModuleList(Conv(a, b, 3, 2) for a, b in zip(widths, widths[1:], strict=False))
        self.stage = nn.ModuleList(C3(c, c, d) for c, d in stages)
        self.sppf = SPPF(widths[-1])
        c = widths[2:]  # channels of the levels, finest first
        self.lateral = nn.ModuleList(Conv(c[i + 1], c[i]) for i in reversed(range(self.levels - 1)))
        self.top_down = nn.ModuleList(C3(2 * c[i], c[i], 1, False) for i in reversed(range(self.levels - 1)))
        self.climb = nn.ModuleList(Conv(c[i], c[i], 3, 2) for i in range(self.levels - 1))
        self.bottom_up = nn.ModuleList(C3(2 * c[i], c[i + 1], 1, False) for i in range(self.levels - 1))
        self.head = nn.ModuleList(nn.Conv2d(n, 3 * (5 + classes), 1) for n in c)
        self.start_bias()

    def start_bias(self):
        """Few objects a picture at the start: about eight a 640x640 picture, classes alike."""
        for head, stride in zip(self.head, self.strides, strict=True):
            bias = head.bias.data.view(3, -1)
            bias[:, 4] = torch.log(torch.tensor(8 / (640 / stride) ** 2))
            bias[:, 5:] = torch.log(torch.tensor(0.6 / (self.classes - 0.99)))

    def features(self, x):
        x, kept = self.stem(x, stem_of_blocks if self.training else None), []
        for down, stage in zip(self.down, self.stage, strict=True):
            x = stage(down(x))
            kept.append(x)
        x = self.sppf(x)
        kept, side = kept[1:-1], []
        for lateral, join in zip(self.lateral, self.top_down, strict=True):
            side.append(lateral(x))
            up = nn.functional.interpolate(side[-1], scale_factor=2, mode="nearest")
            x = join(torch.cat([up, kept.pop()], 1))
        out = [x]
        for climb, join in zip(self.climb, self.bottom_up, strict=True):
            x = join(torch.cat([climb(x), side.pop()], 1))
            out.append(x)
        return out

    def forward(self, x):
        out = []
        for head, y in zip(self.head, self.features(x), strict=True):
            y = head(y)
            b, _, h, w = y.shape
            out.append(y.view(b, 3, 5 + self.classes, h, w).permute(0, 1, 3, 4, 2))
        return out

    def fuse(self):
        for module in self.modules():
            if isinstance(module, Conv) and module.bn is not None:
                module.fuse()
        return self


def decode(raw, anchors, stride):
    """(B,3,H,W,5+C) raw values of a level to (B,3HW,5+C): cx, cy, w, h in input pixels, obj, classes."""
    b, a, h, w, n = raw.shape
    y = raw.sigmoid()
    grid = torch.stack(torch.meshgrid(torch.arange(w, device=raw.device), torch.arange(h, device=raw.device),
                                      indexing="xy"), -1).to(raw.dtype)
    centre = (y[..., 0:2] * 2 - 0.5 + grid) * stride
    size = (y[..., 2:4] * 2) ** 2 * anchors.view(1, a, 1, 1, 2)
    return torch.cat([centre, size, y[..., 4:]], -1).view(b, a * h * w, n)


class Decoded(nn.Module):
    """The network with its boxes decoded, (B, rows, 5 + classes), as it is exported."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        raw = self.net(x)
        return torch.cat([decode(r, self.net.anchors[i], s)
                          for i, (r, s) in enumerate(zip(raw, self.net.strides, strict=True))], 1)
