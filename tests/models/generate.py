#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test models: the YOLO families at their real depth, built as their exporters build them, with
seeded weights. One spec, one file, always the same:

    from generate import Spec, model_path
    path = model_path(Spec("v5n6", size=(1280, 1280), classes=5))

    python tests/models/generate.py v5n --size 640 -o v5n.onnx
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import numpy as np
import onnx

import blocks
import heads
from net import Net

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a test model shall be."""

    arch: str = "v5n"           # a key of ARCHS
    size: tuple = (640, 640)    # height, width; with dynamic axes: what imgsz says
    classes: int = 80
    batch: int = 1
    dynamic: tuple = ()         # of "batch", "height", "width"
    half: bool = False          # float16 weights, input and output
    opset: int = 17
    seed: int = 0
    names: tuple = None         # None: class0, …
    names_as_list: bool = False  # a list literal instead of a dict
    metadata: bool = True       # False: none at all
    channels: int = 3
    raw_maps: bool = False      # v5: the maps before decoding are outputs, too

    @property
    def class_names(self):
        return self.names or tuple(f"class{i}" for i in range(self.classes))

    @property
    def head(self):
        """The head as `saccade inspect` names it; None for a model to refuse."""
        return ARCHS[self.arch][4]

    def __str__(self):
        """Short and different for each of FAMILIES: an id for parametrised tests."""
        parts = [self.arch, "x".join(map(str, self.size)), f"{self.classes}c", f"b{self.batch}",
                 "".join(axis[0] for axis in self.dynamic), "half" * self.half,
                 "maps" * self.raw_maps, f"{self.channels}ch" * (self.channels != 3),
                 "bare" * (not self.metadata)]
        return "-".join(part for part in parts if part)


def v5(net, spec, size):
    levels, strides = blocks.v5_trunk(net, net.image, size.rstrip("6"), size.endswith("6"))
    return heads.v5(net, levels, strides, spec.classes, raw_maps=spec.raw_maps), strides[-1]


def on_v8(head, **options):
    """A head on the trunk of v8."""
    def build(net, spec, size):
        return head(net, *blocks.v8_trunk(net, net.image, size), spec.classes, **options), 32
    return build


def on_v11(head, **options):
    def build(net, spec, size):
        trunk = blocks.v11_trunk(net, net.image, size)
        return head(net, *trunk, spec.classes, rate=0.03, light=True, **options), 32
    return build


def yolox(decoded):
    def build(net, spec, size):
        trunk = blocks.yolox_trunk(net, net.image, size)
        return heads.yolox(net, *trunk, spec.classes, decoded, size == "nano"), 32
    return build


def classifier(net, spec, size):
    return heads.classify(net, blocks.v8_backbone(net, net.image, size)[-1], spec.classes), 1


ARCHS = {  # name: builder, its size, task, kind of metadata, head as `saccade inspect` names it
    "v5n": (v5, "n", "detect", "v5", "v5"),
    "v5s": (v5, "s", "detect", "v5", "v5"),
    "v5m": (v5, "m", "detect", "v5", "v5"),
    "v5n6": (v5, "n6", "detect", "v5", "v5"),
    "v5s6": (v5, "s6", "detect", "v5", "v5"),
    "v6n": (on_v8(heads.v6), "n", "detect", "", "v5"),
    "v8n": (on_v8(heads.v8), "n", "detect", "ultralytics", "v8"),
    "v8s": (on_v8(heads.v8), "s", "detect", "ultralytics", "v8"),
    "11n": (on_v11(heads.v8), "n", "detect", "ultralytics", "v8"),
    "11s": (on_v11(heads.v8), "s", "detect", "ultralytics", "v8"),
    "v10n-e2e": (on_v8(heads.end2end), "n", "detect", "ultralytics", "end2end"),
    "26n-e2e": (on_v11(heads.end2end), "n", "detect", "ultralytics", "end2end"),
    "v8n-nms": (on_v8(heads.with_nms), "n", "detect", "ultralytics", "end2end"),
    "yolox-nano": (yolox(False), "nano", "detect", "", "yolox"),
    "yolox-nano-decoded": (yolox(True), "nano", "detect", "", "yolox-decoded"),
    "yolox-tiny": (yolox(False), "tiny", "detect", "", "yolox"),
    "v8n-cls": (classifier, "n", "classify", "ultralytics", None),
    "v8n-seg": (on_v8(heads.segment), "n", "segment", "ultralytics", None),
}

# One spec a family and variant, for tests that run over all of them. All are detection models.
FAMILIES = (
    Spec("v5n"),
    Spec("v5n", (384, 640), 3, batch=2),
    Spec("v5n", classes=1),
    Spec("v5n", classes=5, raw_maps=True),
    Spec("v5n", classes=5, dynamic=("batch", "height", "width")),
    Spec("v5n6", (1280, 1280), 5),
    Spec("v6n"),
    Spec("v8n"),
    Spec("v8n", (320, 320), 1),
    Spec("v8n", (416, 416), 5, dynamic=("batch", "height", "width")),
    Spec("v8n", (320, 320), 5, half=True),
    Spec("11n"),
    Spec("11n", (320, 320), 5, dynamic=("batch",)),
    Spec("v10n-e2e"),
    Spec("26n-e2e", (320, 320), 5),
    Spec("v8n-nms", (320, 320), 5),
    Spec("yolox-nano", (416, 416)),
    Spec("yolox-nano", (416, 416), 5, dynamic=("batch",)),
    Spec("yolox-nano-decoded", (416, 416)),
)

# Models that must be refused.
REFUSED = (
    Spec("v8n-cls", (224, 224), 10),
    Spec("v8n-seg", (320, 320), 5),
    Spec("v8n-seg", (320, 320), 5, metadata=False),
    Spec("v8n", (320, 320), 5, channels=1),
    Spec("v8n", (320, 320), 5, channels=6),
)


def metadata(spec, stride, task, kind):
    """What the exporters write; values become Python literals by str()."""
    names = list(spec.class_names) if spec.names_as_list else dict(enumerate(spec.class_names))
    if not spec.metadata or not kind:
        return {}
    if kind == "v5":
        return {"stride": stride, "names": names}
    return {
        "description": f"saccade test model {spec.arch}",
        "version": "8.4.190",
        "stride": stride,
        "task": task,
        "head": task.capitalize(),
        "batch": spec.batch,
        "imgsz": list(spec.size),
        "names": names,
        "args": {"batch": spec.batch, "half": spec.half, "dynamic": bool(spec.dynamic),
                 "simplify": True, "opset": spec.opset, "nms": spec.arch.endswith("nms")},
        "channels": spec.channels,
        "end2end": spec.arch.endswith("e2e"),
    }


def build(spec):
    """The onnx.ModelProto of a spec."""
    builder, size, task, kind, _ = ARCHS[spec.arch]
    net = Net((spec.batch, spec.channels, *spec.size), spec.dynamic, spec.seed, spec.opset,
              spec.half, calibration=256 if size.endswith("6") else 128,
              scale=255 if spec.arch.startswith("yolox") else 1)
    outputs, stride = builder(net, spec, size)
    shape = [axis if axis in spec.dynamic else extent for axis, extent in
             zip(("batch", "channels", "height", "width"), net.shape)]
    model = net.model([("images", net.dtype, shape)], [(n, net.dtype, s) for n, s in outputs],
                      metadata(spec, stride, task, kind))
    onnx.checker.check_model(model)
    return model


def sources_hash():
    digest = hashlib.sha256()
    for path in sorted(HERE.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def file_name(spec):
    """A readable name that differs whenever the spec or the generator does."""
    digest = hashlib.sha256(f"{spec!r} {sources_hash()}".encode()).hexdigest()[:10]
    height, width = spec.size
    return f"{spec.arch}-{height}x{width}-{spec.classes}c-{digest}.onnx"


def model_path(spec=None, **fields):
    """Path of the spec's model file, built once, in $SACCADE_BUILD/test-models."""
    spec = dataclasses.replace(spec or Spec(), **fields)
    build_folder = os.environ.get("SACCADE_BUILD", HERE.parents[1] / "build")
    folder = pathlib.Path(build_folder) / "test-models"
    path = folder / file_name(spec)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save(build(spec), path)
    return path


def save(model, path):
    """Writes the file whole or not at all, so that tests may run side by side."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(model.SerializeToString())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arch", choices=sorted(ARCHS))
    parser.add_argument("-o", "--output", type=pathlib.Path, help="file; default: ARCH.onnx")
    parser.add_argument("--size", type=int, nargs="+", default=[640], help="side, or height width")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dynamic", nargs="*", default=[], choices=["batch", "height", "width"])
    parser.add_argument("--half", action="store_true", help="float16")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--names", nargs="+", help="class names; sets the number of classes")
    parser.add_argument("--no-metadata", action="store_true")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--raw-maps", action="store_true")
    a = parser.parse_args()
    spec = Spec(a.arch, (a.size[0], a.size[-1]), len(a.names) if a.names else a.classes, a.batch,
                tuple(a.dynamic), a.half, a.opset, a.seed, tuple(a.names) if a.names else None,
                metadata=not a.no_metadata, channels=a.channels, raw_maps=a.raw_maps)
    save(build(spec), (a.output or pathlib.Path(f"{a.arch}.onnx")).resolve())


if __name__ == "__main__":
    main()
