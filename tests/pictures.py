# SPDX-License-Identifier: Apache-2.0
"""Opening pictures by ctypes."""
import ctypes as c
import os

import numpy as np
import saccade


class Options(c.Structure):
    _fields_ = [("max_pixels", c.c_uint64), ("raw_orientation", c.c_int)]


def _pixels(code, image):
    saccade.check(code)
    assert (image.format, image.memory, image.stride) == (0, 0, 3 * image.width)
    flat = c.string_at(image.data, image.stride * image.height)
    pixels = np.frombuffer(flat, np.uint8).reshape(image.height, image.width, 3)
    saccade.lib.sac_image_release(c.byref(image))
    assert not image.data and not image.release
    return pixels


def read(data, max_pixels=0, raw_orientation=False):
    """Bytes of a picture file → (H,W,3) BGR."""
    image, options = saccade.Image(), Options(max_pixels, raw_orientation)
    code = saccade.lib.sac_image_read(c.byref(image), data, c.c_size_t(len(data)),
                                      c.byref(options))
    return _pixels(code, image)


def open_file(path, max_pixels=0, raw_orientation=False):
    """A picture file → (H,W,3) BGR."""
    image, options = saccade.Image(), Options(max_pixels, raw_orientation)
    code = saccade.lib.sac_image_open(c.byref(image), os.fsencode(path), c.byref(options))
    return _pixels(code, image)
