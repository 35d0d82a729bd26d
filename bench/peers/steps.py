# SPDX-License-Identifier: Apache-2.0
"""The steps around a network as Python programs usually write them, with OpenCV and NumPy."""
import argparse
import json
import time

import cv2
import numpy as np

CONF, IOU, MAX_DET = 0.25, 0.45, 300


def prepare(image, width, height):
    """(H,W,3) BGR → (1,3,height,width) float32, and how to undo it."""
    h, w = image.shape[:2]
    gain = min(width / w, height / h)
    nw, nh = round(w * gain), round(h * gain)
    if (nw, nh) != (w, h):
        image = cv2.resize(image, (nw, nh), interpolation=cv2.INTER_LINEAR)
    left, top = (width - nw) // 2, (height - nh) // 2
    image = cv2.copyMakeBorder(image, top, height - nh - top, left, width - nw - left,
                               cv2.BORDER_CONSTANT, value=(114, 114, 114))
    blob = np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)).astype(np.float32) / 255
    return blob[None], (gain, left, top, w, h)


def boxes(output, undo):
    """Raw output of a YOLOv5 or v8 head → (n,6): x1, y1, x2, y2, score, class."""
    rows = output[0]
    if rows.shape[0] < rows.shape[1]:  # v8 and later: channel-major, no objectness
        rows = rows.T
        scores = rows[:, 4:]
    else:
        rows = rows[rows[:, 4] > CONF]
        scores = rows[:, 5:] * rows[:, 4:5]
    classes = scores.argmax(1)
    best = scores[np.arange(len(scores)), classes]
    keep = best > CONF
    rows, classes, best = rows[keep], classes[keep], best[keep]
    if not len(rows):
        return np.zeros((0, 6), np.float32)
    corner = rows[:, :2] - rows[:, 2:4] / 2
    xywh = np.concatenate([corner, rows[:, 2:4]], 1)
    kept = cv2.dnn.NMSBoxesBatched(xywh.tolist(), best.tolist(), classes.tolist(), CONF, IOU)
    kept = np.asarray(kept, int)[:MAX_DET]
    gain, left, top, w, h = undo
    xyxy = np.concatenate([corner, corner + rows[:, 2:4]], 1)[kept]
    xyxy = ((xyxy - [left, top, left, top]) / gain).clip(0, [w, h, w, h])
    return np.concatenate([xyxy, best[kept, None], classes[kept, None]], 1)


def summary(samples):
    ms = np.asarray(samples) * 1e3
    p50, p90, p99 = np.percentile(ms, [50, 90, 99], method="inverted_cdf")
    return {"mean": ms.mean(), "p50": p50, "p90": p90, "p99": p99, "min": ms.min(),
            "count": len(ms)}


def measure_latency(paths, size, infer, alone, seconds, warmup=5):
    """One picture after another, in turns with the network alone."""
    stages = {name: [] for name in
              ("open", "letterbox", "network", "boxes", "end_to_end", "network_alone")}
    found, index = [], 0

    def whole(keep):
        nonlocal index
        path, index = paths[index % len(paths)], index + 1
        times = [time.perf_counter()]
        image = cv2.imread(path)
        times.append(time.perf_counter())
        blob, undo = prepare(image, *size)
        times.append(time.perf_counter())
        output = infer(blob)
        times.append(time.perf_counter())
        result = boxes(output, undo)
        times.append(time.perf_counter())
        if keep:
            found.append(len(result))
            for name, a, b in zip(stages, times, times[1:]):
                stages[name].append(b - a)
            stages["end_to_end"].append(times[-1] - times[0])

    def bare(keep):
        start = time.perf_counter()
        alone()
        if keep:
            stages["network_alone"].append(time.perf_counter() - start)

    for step in (whole, bare):
        for _ in range(warmup):
            step(False)
    for turn in range(20):
        step = (whole, bare)[turn % 2]
        until = time.perf_counter() + seconds / 10
        while time.perf_counter() < until:
            step(True)
    return {name: summary(samples) for name, samples in stages.items()}, float(np.mean(found))


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model")
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--only", choices=["both", "latency", "rate"], default="both")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--readers", type=int, default=0,
                        help="threads that open and prepare pictures; 0: the main thread does")
    return parser.parse_args()


def report(**values):
    print(json.dumps(values, default=float))
