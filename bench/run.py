#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""saccade against the Python programs that one would write instead: the same model, the same
pictures, one after another in each of several rounds, so that a slow spell of the machine meets all.

    bench/run.py build/release                      a generated yolov5n at 640, generated pictures
    bench/run.py build/release --model m.onnx photos/*.jpg --precision fp32 bf16
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import cv2
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
sys.path.insert(0, str(ROOT / "tests" / "models"))


def make_pictures(folder, count=8, width=1920, height=1080):
    """Smooth ground, shapes, a camera's noise: JPEG like a photograph's."""
    paths = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        image = cv2.resize(rng.integers(40, 216, (9, 16, 3), dtype=np.uint8), (width, height),
                           interpolation=cv2.INTER_CUBIC)
        for _ in range(60):
            x, y, r = (int(v) for v in rng.integers(0, [width, height, height // 6]))
            colour = [int(v) for v in rng.integers(0, 256, 3)]
            if rng.random() < 0.5:
                cv2.circle(image, (x, y), r, colour, -1, cv2.LINE_AA)
            else:
                cv2.rectangle(image, (x, y), (x + r, y + r), colour, -1)
        noise = rng.integers(-8, 9, image.shape)
        path = folder / f"{seed}.jpg"
        cv2.imwrite(str(path), (image + noise).clip(0, 255).astype(np.uint8),
                    [cv2.IMWRITE_JPEG_QUALITY, 90])
        paths.append(str(path))
    return paths


def call(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:3]))} failed:\n{done.stderr}")
    return done


def measure_ours(args, precision, only):
    return json.loads(call([args.build / "bin" / "saccade", "bench", args.model, *args.pictures,
                            "--json", "--quiet", "--precision", precision, "--only", only,
                            "--time", args.seconds]).stdout)


def measure_detect(args, precision, rate, folder):
    """The whole program over a list long enough for the time, by its own closing line."""
    repeats = max(1, round(rate * args.seconds * 2 / len(args.pictures)))
    names = folder / "list"
    names.write_text("\n".join(args.pictures * repeats) + "\n")
    done = call([args.build / "bin" / "saccade", "detect", args.model, "--list", names, "--json",
                 folder / "out.jsonl", "--precision", precision])
    return float(re.search(r"([\d.]+) pictures/s", done.stderr).group(1))


def measure_peer(args, name, precision, only, readers=0):
    return json.loads(call([sys.executable, PEERS / f"{name}_peer.py", args.model, *args.pictures,
                            "--precision", precision, "--only", only, "--seconds", args.seconds,
                            "--readers", readers]).stdout)


def one_round(args, precision, folder):
    """Figures by name: milliseconds (p50), or pictures a second."""
    ours = measure_ours(args, precision, "latency")["latency_ms"]
    peer = measure_peer(args, "openvino", precision, "latency")["latency_ms"]
    figures = {f"ours {k}": v["p50"] for k, v in ours.items()}
    figures |= {f"peer {k}": v["p50"] for k, v in peer.items()}
    if precision == "fp32":
        ort = measure_peer(args, "onnxruntime", precision, "latency")["latency_ms"]
        figures |= {f"ort {k}": v["p50"] for k, v in ort.items()}
    rates = measure_ours(args, precision, "rate")["pictures_per_second"]
    figures["ours rate"] = rates["end_to_end"]
    figures["detect rate"] = measure_detect(args, precision, rates["end_to_end"], folder)
    figures["peer rate"] = measure_peer(args, "openvino", precision, "rate"
                                        )["pictures_per_second"]["end_to_end"]
    figures["peer threads rate"] = measure_peer(args, "openvino", precision, "rate", args.readers
                                                )["pictures_per_second"]["end_to_end"]
    figures["stream ratio"] = (
        figures["ours end_to_end"] - figures["ours open"]) / figures["peer network_alone"]
    figures["rate ratio"] = figures["detect rate"] / figures["peer rate"]
    figures["threads ratio"] = figures["detect rate"] / figures["peer threads rate"]
    figures["letterbox ratio"] = figures["peer letterbox"] / figures["ours letterbox"]
    return figures


def print_table(precision, middle):
    stages = ["open", "letterbox", "network", "boxes", "end_to_end", "network_alone"]
    print(f"\n{precision}: median over the rounds of the p50, ms a picture, one stream")
    print(f"{'':24}" + "".join(f"{s.replace('_', ' '):>15}" for s in stages))
    for key, title in (("ours", "saccade"), ("peer", "OpenVINO, Python"),
                       ("ort", "ONNX Runtime, Python")):
        if f"{key} open" in middle:
            print(f"{title:24}" + "".join(f"{middle[f'{key} {s}']:15.2f}" for s in stages))
    print("\nall cores, pictures/s")
    for key, title in (("ours rate", "saccade bench"), ("detect rate", "saccade detect"),
                       ("peer rate", "OpenVINO, Python, AsyncInferQueue"),
                       ("peer threads rate", "the same, opening on threads too")):
        print(f"{title:36}{middle[key]:8.1f}")
    print("\nratios, median of the rounds' own")
    for key, title in (
            ("stream ratio", "(end to end - open) / OpenVINO's bare inference, at most 1.05"),
            ("rate ratio", "saccade detect / OpenVINO, Python, at least 1.3"),
            ("threads ratio", "saccade detect / OpenVINO, Python, opening on threads"),
            ("letterbox ratio", "letterbox: OpenCV and NumPy / saccade, at least 4")):
        print(f"{middle[key]:8.3f}  {title}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="build folder")
    parser.add_argument("pictures", nargs="*")
    parser.add_argument("--model")
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="for each figure of a round")
    parser.add_argument("--readers", type=int, default=2, help="the peer's threads that open")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures to this file")
    args = parser.parse_args()
    if not args.model:
        from generate import Spec, model_path
        args.model = model_path(Spec("v5n"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        args.pictures = args.pictures or make_pictures(folder)
        everything = {}
        for precision in args.precision:
            rounds = [one_round(args, precision, folder) for _ in range(args.rounds)]
            everything[precision] = rounds
            print_table(precision, {key: statistics.median(r[key] for r in rounds)
                                    for key in rounds[0]})
        if args.json:
            args.json.write_text(json.dumps(everything, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
