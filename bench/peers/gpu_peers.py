#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same networks on the same GPU by PyTorch: eager, as a CUDA graph, and compiled; alone, and with
the NumPy and the CuPy way of feeding them. The networks are read from the ONNX files themselves.

  gpu_peers.py --cases cases.json --frames DIR --out peers.json
  gpu_peers.py … --device cpu --engines eager          # proves the steps without a GPU

cases.json: [{"name": "yolov5s", "model": "v5s.onnx"}, …]; the models' shapes are fixed.
"""
import argparse
import contextlib
import json
import pathlib
import platform
import time

import cv2
import numpy as np
import torch

import torch_onnx
from gpu_steps import CuPyWay, NumPyWay


def wait(device):
    if device == "cuda":
        torch.cuda.current_stream().synchronize()


class Eager:
    """Runs on `input`, which is written from outside; leaves `output`."""

    def __init__(self, module, shape, dtype, device):
        self.module = module
        self.input = torch.zeros(shape, dtype=dtype, device=device).contiguous(
            memory_format=torch.channels_last)
        self.prepare()
        for _ in range(3):
            self.output = self.run()
        wait(device)

    def prepare(self):
        pass

    def run(self):
        return self.module(self.input)

    def __call__(self):
        self.output = self.run()
        return self.output


class Graphed(Eager):
    """The eager calls recorded once and replayed."""

    def __init__(self, module, shape, dtype, device):
        super().__init__(module, shape, dtype, device)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = self.module(self.input)

    def __call__(self):
        self.graph.replay()
        return self.output


class Compiled(Eager):
    """torch.compile, whose two quicker modes bring CUDA graphs."""

    mode = "reduce-overhead"

    def __init__(self, module, shape, dtype, device):
        super().__init__(torch.compile(module, mode=self.mode, fullgraph=True), shape, dtype,
                         device)

    def prepare(self):
        torch._dynamo.mark_static_address(self.input)  # its graph reads it in place

    def run(self):
        torch.compiler.cudagraph_mark_step_begin()
        return self.module(self.input)


ENGINES = {"eager": Eager, "graphed": Graphed, "compiled": Compiled}


# --- measuring

def on_a_stream(device):
    """A non-blocking stream of its own for all that follows."""
    return torch.cuda.stream(torch.cuda.Stream()) if device == "cuda" else contextlib.nullcontext()


def summary(ms):
    p50, p90, p99 = np.percentile(ms, [50, 90, 99], method="inverted_cdf")
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99), "min": float(min(ms)),
            "mean": float(np.mean(ms)), "count": len(ms)}


def repeat(step, seconds, warmup=10):
    """Milliseconds of each call, by the clock."""
    for _ in range(warmup):
        step()
    samples, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(samples) < 5:
        start = time.perf_counter()
        step()
        samples.append((time.perf_counter() - start) * 1e3)
    return samples


def by_events(engine, seconds):
    """Milliseconds of each call, by the device's events."""
    samples, until = [], time.perf_counter() + seconds
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    while time.perf_counter() < until or len(samples) < 5:
        start.record()
        engine()
        end.record()
        end.synchronize()
        samples.append(start.elapsed_time(end))
    return samples


def alone(engine, device, seconds):
    def step():
        engine()
        wait(device)
    found = {"clock": summary(repeat(step, seconds))}
    if device == "cuda":
        found["events"] = summary(by_events(engine, seconds))
    return found


def frames_to_boxes(way, frames, batch, seconds):
    """Times, and the boxes of each frame; the frames rotate."""
    position = 0

    def step():
        nonlocal position
        chosen = [frames[(position + i) % len(frames)] for i in range(batch)]
        position += batch
        return way(chosen)

    ms = summary(repeat(step, seconds, warmup=3))
    stages = {}
    for _ in range(12):
        way.marks = [("", time.perf_counter())]
        step()
        for (_, begun), (stage, ended) in zip(way.marks, way.marks[1:]):
            stages.setdefault(stage, []).append((ended - begun) * 1e3)
    way.marks = None
    boxes = []
    for i in range(0, len(frames), batch):
        chosen = [frames[(i + k) % len(frames)] for k in range(batch)]
        boxes += way(chosen)[:len(frames) - i]
    return {"ms": ms, "stages_ms": {name: float(np.median(s)) for name, s in stages.items()},
            "boxes": [b.astype(float).round(4).tolist() for b in boxes]}


def onnxruntime_alone(path, seconds):
    """ONNX Runtime's CUDA provider with bound memory, in the file's own type; None where there is
    none."""
    try:
        import onnxruntime as ort
    except ImportError:
        return None
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return None
    session = ort.InferenceSession(path, providers=[("CUDAExecutionProvider",
                                                     {"enable_cuda_graph": "1"})])
    node, output = session.get_inputs()[0], session.get_outputs()[0]
    binding = session.io_binding()
    blob = np.zeros(node.shape, np.float16 if "float16" in node.type else np.float32)
    binding.bind_ortvalue_input(node.name, ort.OrtValue.ortvalue_from_numpy(blob, "cuda", 0))
    binding.bind_ortvalue_output(output.name, ort.OrtValue.ortvalue_from_shape_and_type(
        output.shape, blob.dtype.type, "cuda", 0))
    return {"clock": summary(repeat(lambda: session.run_with_iobinding(binding), seconds))}


# --- a case

def pinned(image):
    tensor = torch.empty(image.shape, dtype=torch.uint8, pin_memory=True)
    array = tensor.numpy()
    np.copyto(array, image)
    return array


def ways_of(args):
    ways = {"numpy": NumPyWay}
    if args.device == "cuda":
        ways["cupy"] = CuPyWay
    return {name: ways[name] for name in args.ways if name in ways}


def measure_engine(name, module, shape, frames, args):
    """An engine alone, and the two ways where it is the one that feeds them."""
    begun = time.perf_counter()
    engine = ENGINES[name](module, shape, torch.float16, args.device)
    seconds = time.perf_counter() - begun
    result = {"engines": {name: {"ready_s": seconds, **alone(engine, args.device, args.time)}}}
    if name == args.feed_engine:
        for way, make in ways_of(args).items():
            found = attempt(lambda: frames_to_boxes(make(engine), frames, shape[0], args.time))
            result.setdefault("ways", {})[way] = {"engine": name, **found}
    torch._dynamo.reset()  # what it compiled goes, too
    return result


def attempt(step):
    """What the step gives, or why it does not: the others go on."""
    try:
        return step()
    except Exception as error:  # of PyTorch, its compilers, CuPy: they share no class
        return {"error": f"{type(error).__name__}: {error}"[:2000]}


def measure(case, frames, args, save):
    """Calls save(result) with what is known, again and again."""
    module, shape = torch_onnx.load(case["model"], torch.float16, args.device)
    result = {"shape": shape, "engines": {}, "ways": {}}
    for name in args.engines:
        found = attempt(lambda: measure_engine(name, module, shape, frames, args))
        result["engines"] |= found.get("engines", {} if "error" not in found else {name: found})
        result["ways"] |= found.get("ways", {})
        save(result)
    if args.device == "cuda":
        result["onnxruntime"] = attempt(lambda: onnxruntime_alone(case["model"], args.time))
        save(result)
    return result


def versions(device):
    found = {"python": platform.python_version(), "torch": torch.__version__,
             "numpy": np.__version__, "opencv": cv2.__version__}
    if device == "cuda":
        import cupy
        import torchvision
        found |= {"cupy": cupy.__version__, "torchvision": torchvision.__version__,
                  "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
                  "gpu": torch.cuda.get_device_name()}
    return found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--frames", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--ways", nargs="+", choices=["numpy", "cupy"], default=["numpy", "cupy"])
    parser.add_argument("--feed-engine", choices=ENGINES, default="graphed",
                        help="the engine that the two ways feed")
    parser.add_argument("--compile-mode", default=Compiled.mode,
                        help="of torch.compile; max-autotune takes minutes a network")
    parser.add_argument("--time", type=float, default=0.5, help="seconds for each figure")
    args = parser.parse_args()
    Compiled.mode = args.compile_mode
    return args


def main():
    args = arguments()
    torch.backends.cudnn.benchmark = True
    frames = [cv2.imread(str(path)) for path in sorted(args.frames.glob("*.png"))]
    if args.device == "cuda":
        frames = [pinned(frame) for frame in frames]
    report = {"versions": versions(args.device), "compile_mode": args.compile_mode, "cases": {}}
    for case in json.loads(args.cases.read_text()):
        def save(result, name=case["name"]):
            report["cases"][name] = result
            args.out.write_text(json.dumps(report, indent=1) + "\n")

        with torch.no_grad(), on_a_stream(args.device):
            save(attempt(lambda: measure(case, frames, args, save)))
        print(f"peers: {case['name']} done", flush=True)


if __name__ == "__main__":
    main()
