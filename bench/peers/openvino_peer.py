#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same work by OpenVINO's own Python API: one stream, and all cores by AsyncInferQueue."""
import collections
import concurrent.futures
import itertools
import time

import cv2
import numpy as np
import openvino as ov

import steps


def compile_model(args, hint):
    precision = {"fp32": "f32", "bf16": "bf16"}[args.precision]
    return ov.Core().compile_model(args.model, "CPU", {
        "PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision})


def input_size(model):
    shape = model.input(0).partial_shape
    return [640 if shape[i].is_dynamic else shape[i].get_length() for i in (3, 2)]


def latency(args):
    model = compile_model(args, "LATENCY")
    size = input_size(model)
    request, bare = model.create_infer_request(), model.create_infer_request()
    blob, _ = steps.prepare(cv2.imread(args.pictures[0]), *size)
    bare.set_input_tensor(ov.Tensor(blob, shared_memory=True))

    def infer(array):
        request.infer({0: array}, share_inputs=True)
        return request.get_output_tensor(0).data

    return steps.measure_latency(args.pictures, size, infer, bare.infer, args.seconds)


def prepared(args, size):
    """Pictures, prepared here or by a few threads a little ahead."""
    def load(path):
        return steps.prepare(cv2.imread(path), *size)

    paths = itertools.cycle(args.pictures)
    if not args.readers:
        yield from map(load, paths)
    with concurrent.futures.ThreadPoolExecutor(args.readers) as pool:
        ahead = collections.deque(pool.submit(load, next(paths)) for _ in range(2 * args.readers))
        while True:
            done = ahead.popleft().result()
            ahead.append(pool.submit(load, next(paths)))
            yield done


def rate(args):
    model = compile_model(args, "THROUGHPUT")
    done = []

    def finish(request, undo):
        done.append(len(steps.boxes(request.get_output_tensor(0).data, undo)))

    queue = ov.AsyncInferQueue(model)
    queue.set_callback(finish)
    stream = prepared(args, input_size(model))

    def run(seconds):
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            blob, undo = next(stream)
            queue.start_async({0: blob}, undo, share_inputs=False)
        queue.wait_all()

    run(args.seconds / 4)
    done.clear()
    start = time.perf_counter()
    run(args.seconds)
    result = len(done) / (time.perf_counter() - start)
    stream.close()
    return result, np.mean(done)


def main():
    args = steps.arguments(__doc__)
    values = {"peer": "openvino-python", "version": ov.__version__, "precision": args.precision}
    if args.only != "rate":
        values["latency_ms"], values["boxes_a_picture"] = latency(args)
    if args.only != "latency":
        speed, values["boxes_a_picture"] = rate(args)
        values["pictures_per_second"] = {"end_to_end": speed}
    steps.report(**values)


if __name__ == "__main__":
    main()
