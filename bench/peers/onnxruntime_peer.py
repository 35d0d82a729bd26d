#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same work by ONNX Runtime on the processor, fp32, one stream."""
import cv2
import onnxruntime as ort

import steps


def main():
    args = steps.arguments(__doc__)
    session = ort.InferenceSession(args.model, providers=["CPUExecutionProvider"])
    node = session.get_inputs()[0]
    size = [n if isinstance(n, int) else 640 for n in (node.shape[3], node.shape[2])]
    first, _ = steps.prepare(cv2.imread(args.pictures[0]), *size)

    def infer(blob):
        return session.run(None, {node.name: blob})[0]

    latency, found = steps.measure_latency(args.pictures, size, infer, lambda: infer(first),
                                           args.seconds)
    steps.report(peer="onnxruntime-python", version=ort.__version__, precision="fp32",
                 latency_ms=latency, boxes_a_picture=found)


if __name__ == "__main__":
    main()
