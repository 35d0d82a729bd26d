# SPDX-License-Identifier: Apache-2.0
"""The steps around a network on a GPU as Python programs write them, in two ways.

NumPy way: cv2 letterbox on the processor into flat page-locked memory, copied up on a stream; the
whole raw output copied down into flat page-locked memory; threshold and NMS by NumPy.
CuPy way: the frame copied up, a kernel fits it into a shaped device array, threshold by PyTorch and
NMS by torchvision on the device; boxes copied down.
"""
import time

import cv2
import numpy as np
import torch

from steps import CONF, IOU, MAX_DET

MOST = 30000  # candidates that NMS looks at


def fit(width0, height0, width, height):
    """Gain, size and place of a picture in the network's input."""
    gain = min(width / width0, height / height0)
    new_width, new_height = round(width0 * gain), round(height0 * gain)
    left = round((width - new_width) / 2 - 0.1)
    top = round((height - new_height) / 2 - 0.1)
    return gain, new_width, new_height, left, top


def undo(boxes, place, width0, height0):
    """Boxes of the input → boxes of the picture; works on arrays and tensors."""
    _, new_width, new_height, left, top = place
    boxes[:, [0, 2]] = ((boxes[:, [0, 2]] - left) * (width0 / new_width)).clip(0, width0)
    boxes[:, [1, 3]] = ((boxes[:, [1, 3]] - top) * (height0 / new_height)).clip(0, height0)
    return boxes


def rows_of(output):
    """One picture's raw output as rows: centre and size, score of the best class, class."""
    if output.shape[0] < output.shape[1]:  # v8 and later: channel-major, no objectness
        return output.T, None
    return output, 4


class Way:
    """From frames to boxes. With `marks` a list, each stage is waited for and its end noted."""

    marks = None

    def mark(self, stage):
        if self.marks is None:
            return
        if self.engine.input.is_cuda:
            torch.cuda.current_stream().synchronize()
        self.marks.append((stage, time.perf_counter()))


# --- NumPy way

def letterbox_numpy(image, flat, size):
    """(H,W,3) BGR → flat float32 RGB in 0–1. Returns the place."""
    width, height = size
    place = fit(image.shape[1], image.shape[0], width, height)
    _, new_width, new_height, left, top = place
    if (new_width, new_height) != (image.shape[1], image.shape[0]):
        image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    image = cv2.copyMakeBorder(image, top, height - new_height - top, left,
                               width - new_width - left, cv2.BORDER_CONSTANT, value=(114,) * 3)
    picture = image[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / 255
    np.copyto(flat, picture.ravel())
    return place


def nms_numpy(boxes, scores, iou):
    order = scores.argsort(kind="stable")[::-1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep = []
    while order.size and len(keep) < MAX_DET:
        best, rest = order[0], order[1:]
        keep.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        overlap = (high - low).clip(0).prod(1)
        order = rest[overlap / (areas[best] + areas[rest] - overlap) <= iou]
    return keep


def boxes_numpy(output, place, width0, height0):
    """Raw output of one picture → (n,6): x1, y1, x2, y2, score, class."""
    rows, objectness = rows_of(output)
    if objectness:
        rows = rows[rows[:, 4] > CONF]
        scores = rows[:, 5:] * rows[:, 4:5]
    else:
        scores = rows[:, 4:]
    classes = scores.argmax(1)
    best = scores[np.arange(len(scores)), classes]
    keep = best > CONF
    rows, classes, best = rows[keep], classes[keep], best[keep]
    top = best.argsort(kind="stable")[::-1][:MOST]
    rows, classes, best = rows[top], classes[top], best[top]
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1)
    keep = nms_numpy(boxes + classes[:, None] * 7680, best, IOU)
    boxes = undo(boxes[keep], place, width0, height0)
    return np.concatenate([boxes, best[keep, None], classes[keep, None]], 1)


class NumPyWay(Way):
    """Frames in ordinary memory → boxes, by flat page-locked buffers."""

    def __init__(self, engine):
        self.engine, self.shape = engine, tuple(engine.input.shape)
        self.cuda = engine.input.is_cuda
        self.host_in = torch.empty(engine.input.numel(), pin_memory=self.cuda)
        self.device_in = torch.empty(self.shape, device=engine.input.device)
        output = engine.output
        self.host_out = torch.empty(output.numel(), pin_memory=self.cuda)
        self.out_shape = tuple(output.shape)

    def __call__(self, frames):
        batch, _, height, width = self.shape
        flat = self.host_in.numpy().reshape(batch, -1)
        places = [letterbox_numpy(frames[i], flat[i], (width, height)) for i in range(batch)]
        self.mark("letterbox")
        self.device_in.view(-1).copy_(self.host_in, non_blocking=True)
        self.mark("upload")
        self.engine.input.copy_(self.device_in)  # to the engine's own type and layout
        output = self.engine()
        self.mark("network")
        self.host_out.copy_(output.reshape(-1).float(), non_blocking=True)
        if self.cuda:
            torch.cuda.current_stream().synchronize()
        self.mark("download")
        rows = self.host_out.numpy().reshape(self.out_shape)
        found = [boxes_numpy(rows[i], places[i], frames[i].shape[1], frames[i].shape[0])
                 for i in range(batch)]
        self.mark("boxes")
        return found


# --- CuPy way

KERNEL = r"""
extern "C" __global__ void letterbox(const unsigned char *src, int width0, int height0,
                                     unsigned short *dst, int width, int height, int new_width,
                                     int new_height, int left, int top)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float value[3] = {114.f, 114.f, 114.f};
    const int u = x - left, v = y - top;
    if (u >= 0 && u < new_width && v >= 0 && v < new_height) {
        const float fx = fminf(fmaxf((u + .5f) * width0 / new_width - .5f, 0.f), width0 - 1.f);
        const float fy = fminf(fmaxf((v + .5f) * height0 / new_height - .5f, 0.f), height0 - 1.f);
        const int x0 = (int)fx, y0 = (int)fy;
        const int x1 = min(x0 + 1, width0 - 1), y1 = min(y0 + 1, height0 - 1);
        const float a = fx - x0, b = fy - y0;
        for (int c = 0; c < 3; c++) {
            const float p = src[((size_t)y0 * width0 + x0) * 3 + c];
            const float q = src[((size_t)y0 * width0 + x1) * 3 + c];
            const float r = src[((size_t)y1 * width0 + x0) * 3 + c];
            const float s = src[((size_t)y1 * width0 + x1) * 3 + c];
            value[c] = (p + (q - p) * a) * (1.f - b) + (r + (s - r) * a) * b;
        }
    }
    unsigned short *out = dst + ((size_t)y * width + x) * 3;
    for (int c = 0; c < 3; c++)
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out[c]) : "f"(value[2 - c] / 255.f));
}
"""


def boxes_torch(output, place, width0, height0):
    """As boxes_numpy, on the device; the boxes alone come down."""
    from torchvision.ops import batched_nms
    rows, objectness = rows_of(output)
    if objectness:
        rows = rows[rows[:, 4] > CONF].float()
        scores = rows[:, 5:] * rows[:, 4:5]
    else:
        rows = rows.float()
        scores = rows[:, 4:]
    best, classes = scores.max(1)
    keep = best > CONF
    rows, classes, best = rows[keep], classes[keep], best[keep]
    best, top = best.sort(descending=True)
    rows, classes, best = rows[top[:MOST]], classes[top[:MOST]], best[:MOST]
    boxes = torch.cat([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1)
    keep = batched_nms(boxes, best, classes, IOU)[:MAX_DET]
    boxes = undo(boxes[keep], place, width0, height0)
    return torch.cat([boxes, best[keep, None], classes[keep, None].float()], 1).cpu().numpy()


class CuPyWay(Way):
    """Frames in page-locked memory → boxes, by shaped device arrays."""

    def __init__(self, engine):
        import cupy
        self.cupy, self.engine = cupy, engine
        self.kernel = cupy.RawKernel(KERNEL, "letterbox")
        self.stream = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
        self.frames = {}

    def upload(self, index, frame):
        """The frame in a device array of its shape, kept for the next of that shape."""
        key = (index, frame.shape)
        if key not in self.frames:
            self.frames[key] = self.cupy.empty(frame.shape, np.uint8)
        self.frames[key].set(frame)
        return self.frames[key]

    def fit(self, index, source):
        _, _, height, width = self.engine.input.shape
        place = fit(source.shape[1], source.shape[0], width, height)
        target = self.engine.input[index]  # channels_last: (height,width,3) in memory
        size = [np.int32(v) for v in (width, height, *place[1:])]
        blocks = ((width + 31) // 32, (height + 7) // 8)
        self.kernel(blocks, (32, 8), (source, np.int32(source.shape[1]),
                                      np.int32(source.shape[0]), np.uint64(target.data_ptr()), *size))
        return place

    def __call__(self, frames):
        with self.stream:
            sources = [self.upload(i, frame) for i, frame in enumerate(frames)]
            self.mark("upload")
            places = [self.fit(i, source) for i, source in enumerate(sources)]
            self.mark("letterbox")
        output = self.engine()
        self.mark("network")
        found = [boxes_torch(output[i], places[i], frame.shape[1], frame.shape[0])
                 for i, frame in enumerate(frames)]
        self.mark("boxes")  # with their download
        return found
