#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The report of one GPU: saccade and its peers on the same frames in the same run, against the bars
that the project has set itself. Called by tools/bench-gpu.sh.

  bench/gpu.py BUILD                       # everything
  bench/gpu.py BUILD --parts ours peers --cases s6-1280-b1
  bench/gpu.py BUILD --parts report        # the report again, from the figures in bench/results
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"

# name: architecture, size, classes, batch, then ms of the network and from frame to boxes:
# (must, aim), None where no bar is set.
CASES = {
    "s6-1280-b1": ("v5s6", 1280, 5, 1, (0.50, 0.25), (0.75, 0.45)),
    "s-640-b1": ("v5s", 640, 80, 1, (0.27, 0.15), (0.50, 0.32)),
    "s-640-b32": ("v5s", 640, 80, 32, (2.1, 1.4), None),
    "s6-1280-b8": ("v5s6", 1280, 5, 8, (2.2, 1.4), None),
    "s-640-b8": ("v5s", 640, 80, 8, None, None),
    "n-640-b1": ("v5n", 640, 80, 1, None, None),
    "n-640-b32": ("v5n", 640, 80, 32, None, None),
}
# Check programs and what follows --bench; a case's name stands for its model.
KERNELS = [("check_cuda_letterbox", []), ("check_cuda_maps", []), ("check_cuda_rows", []),
           ("check_layers", []),
           ("check_program", ["1", "1280", "1280", "s6-1280-b1"]),
           ("check_program", ["1", "640", "640", "s-640-b1"]),
           ("check_program", ["32", "640", "640", "s-640-b32"]),
           ("check_program", ["8", "1280", "1280", "s6-1280-b8"])]
STAGES = ["upload", "letterbox", "network", "boxes", "download"]
FRAMES = 8


def call(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False, **options)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise RuntimeError(f"{pathlib.Path(command[0]).name} {done.returncode}: {said}")
    return done.stdout


def seconds_for(args):
    """Seconds that the next program may take: its own limit, and what is left of all."""
    left = args.budget - (time.monotonic() - args.begun) if args.budget else args.limit
    if left < 5:
        raise RuntimeError("no time left")
    return min(args.limit, left)


def attempt(what, step, *args):
    """What the step gives; where it fails, that is the result, and the others go on."""
    try:
        return step(*args)
    except (RuntimeError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        why = f"{type(error).__name__}: {error}"[:2000]
        print(f"bench-gpu: {what}: {why}", file=sys.stderr, flush=True)
        return {"error": why}


# --- models and frames

def make_models(args):
    folder = args.work / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for name in args.cases:
        arch, size, classes, batch = CASES[name][:4]
        path = folder / f"{name}.onnx"
        if not path.exists():
            call(sys.executable, ROOT / "tests/models/generate.py", arch, "--size", size,
                 "--classes", classes, "--batch", batch, "-o", path)
    return folder


def make_frames(args):
    """1080p frames of shapes and noise, as files without loss: everyone sees the same pixels."""
    import cv2
    import numpy as np
    folder = args.work / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(FRAMES):
        path = folder / f"{seed}.png"
        if path.exists():
            continue
        rng = np.random.default_rng(seed)
        frame = np.zeros((1080, 1920, 3), np.uint8)
        frame[:] = np.linspace(40, 200, 1920, dtype=np.uint8)[None, :, None]
        for _ in range(60):
            x, y, w, h = (int(rng.integers(0, n)) for n in (1920, 1080, 400, 300))
            colour = [int(v) for v in rng.integers(0, 256, 3)]
            cv2.rectangle(frame, (x, y), (x + w, y + h), colour, -1)
        noise = rng.integers(-8, 9, frame.shape)
        cv2.imwrite(str(path), (frame + noise).clip(0, 255).astype(np.uint8))
    return folder


# --- ours

def environment(args):
    """For our programs alone: Python has libraries of its own."""
    paths = [str(args.build / "lib"), str(args.build / "lib" / "needed"),
             *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {**os.environ, "SACCADE_PLUGINS": str(args.plugins or args.build / "lib"),
            "LD_LIBRARY_PATH": ":".join(paths)}


def saccade(args, *words):
    return call(args.build / "bin" / "saccade", *words, env=environment(args),
                timeout=seconds_for(args))


def boxes_of(args, model, frames, feed):
    lines = saccade(args, "detect", model, frames, "--device", args.device, "--feed", feed, "-q",
                    "--precision", args.precision)
    return [[[*d["box"], d["score"], d["class_id"]] for d in json.loads(line)["detections"]]
            for line in lines.splitlines()]


def bench_ours(args, name, models, frames):
    """What is known of it so far, again and again; with "error" where a step failed."""
    model, found = models / f"{name}.onnx", {}

    def step(key, *words):
        result = attempt(f"saccade {name}, {key}", *words)
        if isinstance(result, dict) and "error" in result:
            found.setdefault("error", result["error"])
        return result

    timed = step("bench", bench_timed, args, model, frames)
    found |= timed
    yield found
    found["boxes"] = {}
    for feed in ("staged", "resident"):
        boxes = step(feed, boxes_of, args, model, frames, feed)
        if isinstance(boxes, list):
            found["boxes"][feed] = boxes
    yield found
    if not args.no_plan:
        found["layers"] = step("plan", plan_of, args, model)
        if not isinstance(found["layers"], list):
            found["layers"] = []
        yield found


def bench_timed(args, model, frames):
    return json.loads(saccade(args, "bench", model, frames, "--json", "--device", args.device,
                              "--time", args.time, "--warmup", args.warmup, "--precision",
                              args.precision, *(["--count", args.count] if args.count else [])))


def plan_of(args, model):
    return json.loads(saccade(args, "inspect", model, "--json", "--device", args.device,
                              "--precision", args.precision))["layers"]


def bench_kernels(args, models):
    """Name and output of one program after the other."""
    for program, words in KERNELS:
        name = " ".join([program, "--bench", *words])
        if not args.kernels.search(name) or any(w in CASES and w not in args.cases for w in words):
            continue
        words = [models / f"{word}.onnx" if word in CASES else word for word in words]
        yield name, attempt(name, lambda p=program, w=words: call(
            args.build / "bin" / "gpu" / p, "--bench", *w, timeout=seconds_for(args),
            env=environment(args)))


# --- peers

def bench_peers(args, name, models, frames):
    """One case in a process of its own: what ends it leaves the others alone."""
    cases, out = args.work / "cases.json", args.work / "peers.json"
    cases.write_text(json.dumps([{"name": name, "model": str(models / f"{name}.onnx")}]))
    out.unlink(missing_ok=True)
    device = ["--device", "cpu", "--engines", "eager", "--feed-engine", "eager"]
    try:
        call(sys.executable, ROOT / "bench/peers/gpu_peers.py", "--cases", cases, "--frames",
             frames, "--out", out, "--time", args.time, "--compile-mode", args.compile_mode,
             *(["--engines", *args.engines] if args.engines else []),
             *(device if args.peers_on_cpu else []), timeout=seconds_for(args))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        if not out.exists():
            raise
        print(f"bench-gpu: peers {name}: {error}", file=sys.stderr)  # what is done is there
    return json.loads(out.read_text())


# --- do the boxes agree?

def overlap(a, b):
    if a[:4] == b[:4]:
        return 1.0  # without area, too: clipped at the picture's edge
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def agreement(ours, theirs):
    """Share of boxes that have a partner of their class that overlaps by 0.7; 1.0 where both found
    nothing."""
    matched = total = 0
    for mine, other in zip(ours, theirs):
        left = list(other)
        total += len(mine) + len(other)
        for box in mine:
            partner = max((b for b in left if b[5] == box[5]), default=None,
                          key=lambda b, box=box: overlap(box, b))
            if partner is not None and overlap(box, partner) >= 0.7:
                left.remove(partner)
                matched += 2
    return matched / total if total else 1.0


# --- figures

def row_of(found, feed):
    return next((row for row in found.get("gpu", []) if row["feed"] == feed), None)


def without_errors(found):
    return [(name, value) for name, value in (found or {}).items() if "error" not in value]


def p50(stages, name):
    return stages.get(name, {}).get("p50", 0.0)


def figures_of(name, ours, peers):
    """The few numbers of a case that the tables show; None where there is none."""
    figures = {"case": name, "ours": {}, "peers": {}, "agree": {}}
    staged, resident = row_of(ours, "staged"), row_of(ours, "resident")
    in_place = row_of(ours, "resident, no copy")
    if resident:
        figures["ours"] |= {"network": p50(resident["stages_ms"], "network"),
                            "alone": resident["network_alone_ms"]["p50"],
                            "resident": resident["end_to_end_ms"]["p50"],
                            "frames_per_second": resident["frames_per_second"],
                            "boxes_a_frame": resident["boxes_a_frame"]}
    if in_place:
        figures["ours"]["no copy"] = in_place["end_to_end_ms"]["p50"]
    if staged:
        figures["ours"]["staged"] = staged["end_to_end_ms"]["p50"]
    for engine, found in without_errors(peers.get("engines")):
        figures["peers"][engine] = (found.get("events") or found["clock"])["p50"]
        figures["peers"][engine + " by the clock"] = found["clock"]["p50"]
    if "clock" in (peers.get("onnxruntime") or {}):
        figures["peers"]["onnxruntime by the clock"] = peers["onnxruntime"]["clock"]["p50"]
    for way, found in without_errors(peers.get("ways")):
        figures["peers"][way + " way"] = found["ms"]["p50"]
        for feed, boxes in ours.get("boxes", {}).items():
            figures["agree"][f"{feed}, {way} way"] = agreement(boxes, found["boxes"])
    boxes = ours.get("boxes", {})
    if "staged" in boxes and "resident" in boxes:
        figures["agree"]["staged, resident"] = agreement(boxes["staged"], boxes["resident"])
    return figures


def number(value):
    return "–" if value is None else f"{value:.3f}"


def verdict(value, bar):
    if bar is None or value is None:
        return "–"
    must, aim = bar
    return f"{'aim' if value <= aim else 'must' if value <= must else 'MISSED'} ({must} / {aim})"


def ratio(mine, others):
    others = [value for value in others if value]
    return f"{min(others) / mine:.2f}" if mine and others else "–"


def network_rows(all_figures):
    yield ["case", "saccade", "alone, clock", "eager", "graphed", "compiled", "best peer / saccade",
           "bar: must / aim"]
    for f in all_figures:
        mine, peers = f["ours"].get("network"), f["peers"]
        engines = [peers.get(name) for name in ("eager", "graphed", "compiled")]
        yield [f["case"], number(mine), number(f["ours"].get("alone")), *map(number, engines),
               ratio(mine, engines), verdict(mine, CASES[f["case"]][4])]


def frame_rows(all_figures):
    yield ["case", "resident", "no copy", "staged", "CuPy way", "NumPy way", "best peer / saccade", "frames/s",
           "boxes a frame", "bar: must / aim"]
    for f in all_figures:
        peers, resident = f["peers"], [f["ours"].get("resident"), f["ours"].get("no copy")]
        mine = min((value for value in resident if value), default=None)
        ways = [peers.get("cupy way"), peers.get("numpy way")]
        rate, boxes = (f["ours"].get(key) for key in ("frames_per_second", "boxes_a_frame"))
        yield [f["case"], *map(number, resident), number(f["ours"].get("staged")),
               *map(number, ways),
               ratio(mine, ways), *("–" if value is None else f"{value:.0f}" for value in (rate, boxes)),
               verdict(mine, CASES[f["case"]][5])]


def agree_rows(all_figures):
    yield ["case", "boxes compared", "share that agree"]
    for f in all_figures:
        for pair, share in f["agree"].items():
            yield [f["case"], pair, f"{share:.3f}"]


def slow_layers(name, found, most=8):
    layers = [layer for layer in found.get("layers", []) if layer["us"] > 0]
    layers.sort(key=lambda layer: layer["roof_us"] - layer["us"])
    total = sum(layer["us"] for layer in layers)
    for layer in layers[:most]:
        yield [name, layer["shape"], layer["kernel"], f"{layer['us']:.2f}",
               f"{layer['roof_us']:.2f}"]
    if layers:
        yield [name, "all", "", f"{total:.1f}", f"{sum(x['roof_us'] for x in layers):.1f}"]


def markdown(rows):
    rows = list(rows)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


# --- the report

def machine(args):
    found = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
             "commit": args.commit, "saccade": saccade(args, "--version").split()[1]}
    try:
        gpu = call("nvidia-smi", "--query-gpu=name,driver_version,memory.total",
                   "--format=csv,noheader").splitlines()[0].split(", ")
        found |= {"gpu": gpu[0], "driver": gpu[1], "memory": gpu[2]}
    except (OSError, RuntimeError):
        found |= {"gpu": "no GPU", "driver": "none", "memory": "none"}
    return found


def chart_of(report):
    """Where the milliseconds go: one frame, stage by stage."""
    bars = []
    for name in ("s6-1280-b1", "s-640-b1"):
        ours = report.get("ours", {}).get(name, {})
        peers = report.get("peers", {}).get("cases", {}).get(name, {})
        title = f"{CASES[name][0]} {CASES[name][1]}"
        for way, label in (("numpy", "NumPy way"), ("cupy", "CuPy way")):
            found = dict(without_errors(peers.get("ways"))).get(way)
            if found:
                bars.append({"name": f"{title}: {label}",
                             "parts": [found["stages_ms"].get(stage, 0) for stage in STAGES],
                             "total": f"{found['ms']['p50']:.2f} ms",
                             "detail": f"PyTorch, {found['engine']}"})
        for feed in ("staged", "resident"):
            row = row_of(ours, feed)
            if row:
                bars.append({"name": f"{title}: saccade {feed}",
                             "parts": [p50(row["stages_ms"], stage) for stage in STAGES],
                             "total": f"{row['end_to_end_ms']['p50']:.2f} ms",
                             "detail": f"{row['frames_per_second']:.0f} frames/s"})
    about = report["machine"]
    return {"title": "Where the milliseconds go: a 1080p frame to boxes",
            "lines": [f"{about['gpu']}, driver {about['driver']} · saccade {about['saccade']} · "
                      f"{about['date']}",
                      "medians of one run; saccade staged: copies are inside network; NumPy and CuPy "
                      "ways: PyTorch fp16 in a CUDA graph"],
            "parts": STAGES, "bars": bars}


def write_markdown(path, report, all_figures):
    about, peers = report["machine"], report.get("peers", {})
    words = [f"# {about['gpu']}, {about['date']}", "",
             f"saccade {about['saccade']} at {about['commit']}, driver {about['driver']}, "
             f"{about['memory']}. Frames: {FRAMES} of 1920×1080, BGR, in page-locked memory. fp16; "
             "random weights. Medians, milliseconds a run. Made by `make bench-gpu`.", "",
             "Peers: " + (", ".join(f"{k} {v}" for k, v in peers.get("versions", {}).items())
                          or "not measured") +
             f"; torch.compile mode {peers.get('compile_mode', '–')}.", "",
             "## The network", "",
             "saccade: the stage between letterbox and head, by the device's events; alone: the "
             "engine's own call with the decoded output, by the clock. Peers by events.", "",
             markdown(network_rows(all_figures)), "", "## A frame to boxes", "",
             "By the clock, picture in page-locked memory to boxes in the host's; without a copy, the "
             "letterbox reads that memory itself. The NumPy and CuPy ways feed the CUDA-graphed "
             "engine. Ratio and bar: the better of the resident ones.", "",
             markdown(frame_rows(all_figures)), "", "## The boxes", "",
             "Share of boxes that have a partner of their class that overlaps by 0.7.", "",
             markdown(agree_rows(all_figures)), ""]
    slow = [row for name, found in report.get("ours", {}).items()
            for row in slow_layers(name, found)]
    if slow:
        words += ["## Layers that lose most against their roofline", "",
                  markdown([["case", "layer", "kernel", "µs", "roofline µs"], *slow]), ""]
    for name, text in report.get("kernels", {}).items():
        text = text if isinstance(text, str) else text["error"]
        words += [f"## {name}", "", "```", text.rstrip(), "```", ""]
    errors = [f"{part}, {name}: {short(why)}" for part, name, why in errors_of(report)]
    if errors:
        words += ["## What failed", ""] + [f"- {error}" for error in errors] + [""]
    path.write_text("\n".join(words))


def short(why):
    """In one line; of a long one the end, where programs say what it was."""
    line = " ".join(why.split())
    return line if len(line) < 500 else f"{line[:150]} … {line[-350:]}"


def errors_of(report):
    """Part, case, and why."""
    for name, found in report.get("ours", {}).items():
        if "error" in found:
            yield "saccade", name, found["error"]
    for case, found in report.get("peers", {}).get("cases", {}).items():
        steps = {**found.get("engines", {}), **found.get("ways", {}), "": found,
                 "onnxruntime": found.get("onnxruntime") or {}}
        for step, result in steps.items():
            if "error" in result:
                yield "peers", f"{case} {step}".strip(), result["error"]


def short_table(rows):
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print()


def all_figures_of(report):
    peers, ours = report.get("peers", {}).get("cases", {}), report.get("ours", {})
    return [figures_of(name, ours.get(name, {}), peers.get(name, {}))
            for name in CASES if name in ours or name in peers]


def without_boxes(found):
    """Lists of boxes are compared already, and megabytes."""
    if not isinstance(found, dict):
        return found
    return {key: without_boxes(value) for key, value in found.items()
            if key != "boxes" or "p50" in str(value) or isinstance(value, float)}


def write_report(args, report):
    """All files of the report but its picture; returns their common stem."""
    report["figures"] = all_figures_of(report)
    stem = args.name or "-".join([report["machine"]["date"], re.sub(
        "[^a-z0-9]+", "-", report["machine"]["gpu"].lower().replace("nvidia", "")).strip("-")])
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / f"{stem}.json").write_text(json.dumps(without_boxes(report), indent=1) + "\n")
    write_markdown(args.results / f"{stem}.md", report, report["figures"])
    (args.results / f"{stem}.chart.json").write_text(
        json.dumps(chart_of(report), indent=1, ensure_ascii=False) + "\n")
    return args.results / stem


def show_report(args, report):
    stem = write_report(args, report)
    drawer = args.build / "bin" / "draw_chart"
    if chart_of(report)["bars"] and drawer.exists():
        attempt("chart", lambda: call(drawer, f"{stem}.chart.json", f"{stem}.svg",
                                      env=environment(args)))
    for name, text in report.get("kernels", {}).items():
        print(f"{name}\n{text if isinstance(text, str) else text['error']}")
    figures = report["figures"]
    for rows in (network_rows(figures), frame_rows(figures), agree_rows(figures)):
        short_table(rows)
    for part, name, why in errors_of(report):
        print(f"FAILED {part}, {name}: {short(why)}")
    print(f"{stem}.md")


def measure(args):
    """Adds to what the work folder already has, so that parts may be measured one after another.
    Both the work folder and the report are written after each step."""
    kept = args.work / "report.json"
    report = json.loads(kept.read_text()) if kept.exists() else {}
    report["machine"] = machine(args) if set(args.parts) != {"report"} else report["machine"]

    def save(what):
        kept.write_text(json.dumps(report) + "\n")
        write_report(args, report)
        print(f"bench-gpu: {what}, {time.monotonic() - args.begun:.0f} s", file=sys.stderr, flush=True)

    if {"ours", "peers", "kernels"} & set(args.parts):
        models, frames = make_models(args), make_frames(args)
    for name in args.cases if "ours" in args.parts else []:
        for found in bench_ours(args, name, models, frames):
            report.setdefault("ours", {})[name] = found
            save(f"saccade {name}")
    for name, text in bench_kernels(args, models) if "kernels" in args.parts else []:
        report.setdefault("kernels", {})[name] = text
        save(name)
    for name in args.cases if "peers" in args.parts else []:
        found = attempt(f"peers {name}", bench_peers, args, name, models, frames)
        peers = report.setdefault("peers", {})
        cases = {**peers.get("cases", {}), **found.pop("cases", {name: found})}
        peers |= {} if "error" in found else found
        peers["cases"] = cases
        save(f"peers {name}")
    return report


def commit_of(build):
    packed = build / "commit"
    try:
        return (packed.read_text() if packed.exists() else
                call("git", "-C", ROOT, "rev-parse", "--short", "HEAD")).strip()
    except (OSError, RuntimeError):
        return "unknown"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--parts", nargs="+", default=["ours", "kernels", "peers"],
                        choices=["ours", "kernels", "peers", "report"])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--time", type=float, default=0.4, help="seconds for each figure")
    parser.add_argument("--count", type=int, help="runs for each figure of ours, instead of a time")
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--limit", type=float, default=240, help="seconds for each program")
    parser.add_argument("--budget", type=float, default=float(os.environ.get("BENCH_GPU_BUDGET", 0)),
                        help="seconds for everything; what is left over then is not measured")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--plugins", type=pathlib.Path, help="folder of the plugins")
    parser.add_argument("--no-plan", action="store_true", help="without each layer's time")
    parser.add_argument("--kernels", type=re.compile, default=re.compile("check_(cuda|layers)"),
                        help="which of the programs with --bench; check_program takes a minute each")
    parser.add_argument("--engines", nargs="+", help="of the peers: eager graphed compiled")
    parser.add_argument("--compile-mode", default="reduce-overhead")
    parser.add_argument("--peers-on-cpu", action="store_true", help="proves the steps")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "bench-gpu",
                        help="models, frames, figures on their way")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--name", help="of the report's files; default: date and GPU")
    parser.add_argument("--commit", default=os.environ.get("SACCADE_COMMIT"))
    args = parser.parse_args()
    args.commit = args.commit or commit_of(args.build)
    return args


def main():
    args = arguments()
    args.begun = time.monotonic()
    args.work.mkdir(parents=True, exist_ok=True)
    show_report(args, measure(args))


if __name__ == "__main__":
    main()
