# SPDX-License-Identifier: Apache-2.0
"""Constants on a device, each copied there once: every such copy waits until the GPU is idle."""

import functools

import torch


@functools.cache
def constant(values, device, dtype=None):
    """A number or nested tuples of numbers as a tensor, shared: never write to it."""
    return torch.tensor(values, device=device, dtype=dtype)
