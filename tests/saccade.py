# SPDX-License-Identifier: Apache-2.0
"""The steps of the public C API by ctypes, as thin as it goes: for tests and bench/peers."""
import ctypes as c
import os
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("SACCADE_BUILD", ROOT / "build" / "release"))
lib = c.CDLL(str(BUILD / "lib" / "libsaccade.so"))

FORMATS = {"bgr": 0, "rgb": 1, "bgra": 2, "rgba": 3, "gray": 4}
CHANNELS = {"bgr": 3, "rgb": 3, "bgra": 4, "rgba": 4, "gray": 1}
DTYPES = {"float32": 0, "float16": 1, "bfloat16": 2, "uint8": 3}
FITS = {"pad": 0, "auto": 1, "stretch": 2, "top-left": 3}
FAMILIES = {"v5": 0, "v8": 1, "end2end": 2, "yolox": 3, "yolox-decoded": 4}
COMPATS = {"exact": 0, "yolov5": 1}


class Image(c.Structure):
    _fields_ = [("data", c.c_void_p), ("stride", c.c_ssize_t), ("width", c.c_int32),
                ("height", c.c_int32), ("format", c.c_int), ("memory", c.c_int),
                ("device", c.c_int32), ("chroma", c.c_void_p), ("chroma_stride", c.c_ssize_t),
                ("release", c.c_void_p), ("user", c.c_void_p)]


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("memory", c.c_int), ("device", c.c_int32),
                ("dtype", c.c_int), ("ndim", c.c_int32), ("shape", c.c_int64 * 8),
                ("strides", c.c_int64 * 8), ("owned", c.c_void_p)]


class Letterbox(c.Structure):
    _fields_ = [(name, c.c_int32) for name in
                "width0 height0 width height new_width new_height left top".split()]
    _fields_ += [("gain", c.c_double)]


class LetterboxOptions(c.Structure):
    _fields_ = [("fit", c.c_int), ("no_upscale", c.c_int), ("stride", c.c_int)]


class Pixels(c.Structure):
    _fields_ = [("pad", c.c_int), ("bgr", c.c_int), ("no_scaling", c.c_int)]


class Head(c.Structure):
    _fields_ = [("family", c.c_int), ("classes", c.c_int32), ("strides", c.c_int32 * 8)]


class Nms(c.Structure):
    _fields_ = [("conf", c.c_float), ("iou", c.c_float), ("max_det", c.c_int32),
                ("agnostic", c.c_int), ("multi_label", c.c_int), ("compat", c.c_int),
                ("classes", c.POINTER(c.c_int32)), ("class_count", c.c_size_t)]


class Timings(c.Structure):
    _fields_ = [(name, c.c_double) for name in
                ("letterbox", "network", "boxes", "upload", "download")]


class Detections(c.Structure):
    _fields_ = [("items", c.c_void_p), ("count", c.c_size_t), ("candidates", c.c_size_t),
                ("nonfinite", c.c_size_t), ("overflow", c.c_size_t), ("ms", Timings)]


DETECTION = np.dtype([("box", "f4", 4), ("score", "f4"), ("class_id", "i4"), ("anchor", "i4")])

lib.sac_error_name.restype = lib.sac_error_message.restype = c.c_char_p


class Error(Exception):
    def __init__(self, code):
        self.name = lib.sac_error_name(code).decode()
        super().__init__(f"{self.name}: {lib.sac_error_message().decode()}")


def check(code):
    if code:
        raise Error(code)


def tensor_of(array):
    """Borrows a contiguous array."""
    strides = (c.c_int64 * 8)(*(stride // array.itemsize for stride in array.strides))
    return Tensor(array.__array_interface__["data"][0], 0, 0, DTYPES[array.dtype.name],
                  array.ndim, (c.c_int64 * 8)(*array.shape), strides)


def image_of(array, fmt="bgr"):
    """Borrows (H,W,C) or (H,W) uint8 pixels whose rows may have any stride."""
    height, width = array.shape[:2]
    assert array.dtype == np.uint8 and array.size == height * width * CHANNELS[fmt]
    return Image(array.__array_interface__["data"][0], array.strides[0], width, height,
                 FORMATS[fmt])


def nv12_of(luma, chroma):
    """Borrows (H,W) luma and (H/2,W/2,2) chroma, extents rounded up, whose rows may have any stride."""
    image = image_of(luma, "gray")
    image.format = 5
    image.chroma, image.chroma_stride = chroma.__array_interface__["data"][0], chroma.strides[0]
    return image


def fit(width0, height0, width, height, fit="pad", no_upscale=False, stride=0):
    out = Letterbox()
    options = LetterboxOptions(FITS[fit], no_upscale, stride)
    check(lib.sac_letterbox_fit(c.byref(out), width0, height0, width, height, c.byref(options)))
    return out


def letterbox(array, plan, fmt="bgr", dtype="float32", pad=114, bgr=False, scaled=True, out=None,
              index=0):
    """(H,W,C) pixels or an Image → (1,3,height,width), or picture `index` of `out`."""
    if out is None:
        out = np.empty((1, 3, plan.height, plan.width), dtype)
    image = array if isinstance(array, Image) else image_of(array, fmt)
    tensor = tensor_of(out)
    pixels = Pixels(pad, bgr, not scaled)
    check(lib.sac_letterbox_apply(c.byref(tensor), c.c_int64(index), c.byref(image),
                                  c.byref(plan), c.byref(pixels)))
    return out


def boxes(output, plan, family, classes, strides=(), conf=0.25, iou=0.45, max_det=300,
          agnostic=False, multi_label=False, compat="exact", keep=None, index=0):
    """Raw output → (array of DETECTION, the counters)."""
    head = Head(FAMILIES[family], classes, (c.c_int32 * 8)(*strides))
    ids = None if keep is None else (c.c_int32 * max(len(keep), 1))(*keep)
    nms = Nms(conf, iou, max_det, agnostic, multi_label, COMPATS[compat], ids,
              len(keep) if keep is not None else 0)
    tensor, found = tensor_of(output), Detections()
    check(lib.sac_head_read(c.byref(found), c.byref(tensor), c.c_int64(index), c.byref(head),
                            c.byref(plan), c.byref(nms)))
    items = np.frombuffer(c.string_at(found.items, found.count * DETECTION.itemsize)
                          if found.count else b"", DETECTION).copy()
    counts = {name: getattr(found, name) for name in ("candidates", "nonfinite", "overflow")}
    lib.sac_detections_free(c.byref(found))
    return items, counts


class EngineOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("device", c.c_char_p), ("backend", c.c_char_p),
                ("precision", c.c_int), ("mode", c.c_int), ("threads", c.c_int),
                ("streams", c.c_int), ("cache_dir", c.c_char_p), ("cache_limit", c.c_uint64),
                ("log", c.CFUNCTYPE(None, c.c_void_p, c.c_char_p)), ("log_user", c.c_void_p)]


class Binding(c.Structure):
    _fields_ = [("index", c.c_int32), ("name", c.c_char * 128), ("is_input", c.c_int),
                ("dtype", c.c_int), ("ndim", c.c_int32), ("dims", c.c_int64 * 8),
                ("count", c.c_int64), ("bytes", c.c_int64)]

    @property
    def shape(self):
        return tuple(self.dims[:self.ndim])


PRECISIONS = {"auto": 0, "fp32": 1, "bf16": 2, "fp16": 3}
lib.sac_engine_where.restype = c.c_char_p
lib.sac_engine_binding_count.restype = c.c_size_t


class Engine:
    """A network and one context of it."""

    def __init__(self, path, precision="fp32", throughput=False, threads=0, streams=0, cache=""):
        self.engine, self.context = c.c_void_p(), c.c_void_p()
        options = EngineOptions()
        lib.sac_engine_options_init_sized(c.byref(options), c.c_size_t(c.sizeof(options)))
        options.precision, options.mode = PRECISIONS[precision], int(throughput)
        options.threads, options.streams = threads, streams
        options.cache_dir = None if cache is None else os.fsencode(cache)
        check(lib.sac_engine_open(c.byref(self.engine), os.fsencode(path), c.byref(options)))
        check(lib.sac_context_open(c.byref(self.context), self.engine))
        self.bindings = [Binding() for _ in range(lib.sac_engine_binding_count(self.engine))]
        for i, binding in enumerate(self.bindings):
            check(lib.sac_engine_binding(self.engine, c.c_size_t(i), c.byref(binding)))
        self.where = lib.sac_engine_where(self.engine).decode()
        self.precision = list(PRECISIONS)[lib.sac_engine_precision(self.engine)]

    def run(self, *inputs):
        """Arrays in the order of the inputs → copies of the outputs."""
        tensors = [tensor_of(array) for array in inputs]
        for i, tensor in enumerate(tensors):
            check(lib.sac_context_bind(self.context, c.c_size_t(i), c.byref(tensor)))
        check(lib.sac_context_enqueue(self.context))
        check(lib.sac_context_wait(self.context))
        return [self.output(i) for i, b in enumerate(self.bindings) if not b.is_input]

    def output(self, index):
        tensor = Tensor()
        check(lib.sac_context_tensor(self.context, c.c_size_t(index), c.byref(tensor)))
        dtype = np.dtype({code: name for name, code in DTYPES.items()}[tensor.dtype])
        shape = tuple(tensor.shape[:tensor.ndim])
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer(c.string_at(tensor.data, size), dtype).reshape(shape).copy()

    def close(self):
        lib.sac_context_close(c.byref(self.context))
        lib.sac_engine_close(c.byref(self.engine))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
