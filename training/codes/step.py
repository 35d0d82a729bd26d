# SPDX-License-Identifier: Apache-2.0
"""Forward, loss and backward of one batch, on a GPU recorded once and replayed.

Eager, a step is some three thousand small launches, and the CPU that makes them is slower than the GPU.
"""

import torch

from .loss import loss

WARM = 3  # steps before recording, in which convolutions choose their algorithms


class Step:
    """Called with pictures, boxes and classes it leaves gradients in net's parameters and returns
    the loss's three parts. forward: net, or net compiled. record: as a CUDA graph, of one batch's shapes.
    weights: gains, shares and power of the loss."""

    def __init__(self, net, forward, size, record, **weights):
        self.net, self.forward, self.size, self.record, self.weights = net, forward, size, record, weights
        self.graph, self.batch, self.parts = None, None, None

    def plain(self, picture, boxes, classes):
        for p in self.net.parameters():
            p.grad = None
        with torch.autocast(picture.device.type, torch.bfloat16):
            raws = self.forward(picture)
        total, parts = loss(raws, self.net.anchors, self.net.strides, boxes, classes, self.size,
                            **self.weights)
        total.backward()
        return parts

    def start(self, batch):
        self.batch, self.graph = [t.clone() for t in batch], torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                self.plain(*self.batch)
        # other threads (NCCL's) may ask for events meanwhile
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            self.parts = self.plain(*self.batch)

    def __call__(self, *batch):
        if not self.record:
            return self.plain(*batch)
        if not self.graph:
            self.start(batch)
        for mine, new in zip(self.batch, batch, strict=True):
            mine.copy_(new)
        self.graph.replay()
        return self.parts
