# SPDX-License-Identifier: Apache-2.0
"""The letterbox against OpenCV and NumPy: not one byte may differ."""
import math

import cv2
import numpy as np
import pytest
import saccade

ADVERSE = [((1, 1), (640, 640)), ((1, 1), (1, 1)), ((2, 1), (1, 2)), ((1, 999), (640, 640)),
           ((4000, 1), (640, 640)), ((3, 2000), (320, 64)), ((2, 2), (5, 7)),
           ((639, 641), (640, 640)), ((640, 640), (640, 640)), ((1280, 1280), (640, 640)),
           ((1920, 1080), (640, 640)), ((1920, 1080), (1280, 1280)), ((640, 480), (640, 640)),
           ((7, 5), (1280, 1280)), ((5000, 3), (64, 640)), ((8191, 17), (33, 31))]


def peer_plan(width0, height0, width, height, fit, no_upscale, stride):
    """contracts.md in Python's own arithmetic: round() is half to even too."""
    gain = min(height / height0, width / width0)
    if no_upscale:
        gain = min(gain, 1.0)
    if fit == "top-left":
        inner = max(int(width0 * gain), 1), max(int(height0 * gain), 1)
        return inner, (0, width - inner[0]), (0, height - inner[1])
    inner = max(round(width0 * gain), 1), max(round(height0 * gain), 1)
    if fit == "stretch":
        inner = width, height
    pads = []
    for whole, part in zip((width, height), inner):
        pad = whole - part
        if fit == "auto":
            pad = math.fmod(pad, stride)
        pads.append((round(pad / 2 - 0.1), round(pad / 2 + 0.1)))
    return inner, *pads


def peer_bytes(bgr, inner, across, down, pad):
    """OpenCV's letterbox, (H,W,3) BGR."""
    if (bgr.shape[1], bgr.shape[0]) != inner:
        bgr = cv2.resize(bgr, inner, interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(bgr, *down, *across, cv2.BORDER_CONSTANT, value=(pad,) * 3)


def peer_letterbox(bgr, width, height, fit="pad", no_upscale=False, stride=32, pad=114):
    plan = peer_plan(bgr.shape[1], bgr.shape[0], width, height, fit, no_upscale, stride)
    return plan, peer_bytes(bgr, *plan, pad)


def compare(bgr, width, height, fit="pad", no_upscale=False, stride=32, pad=114):
    (inner, across, down), want = peer_letterbox(bgr, width, height, fit, no_upscale, stride, pad)
    plan = saccade.fit(bgr.shape[1], bgr.shape[0], width, height, fit, no_upscale, stride)
    assert (plan.new_width, plan.new_height, plan.left, plan.top) == (*inner, across[0], down[0])
    assert (plan.height, plan.width) == want.shape[:2]
    gain = min(plan.height / plan.height0, plan.width / plan.width0)
    assert plan.gain == (min(gain, 1) if no_upscale else gain)
    got = saccade.letterbox(bgr, plan, dtype="uint8", pad=pad)
    where = f"{bgr.shape} to {width}x{height} {fit}"
    np.testing.assert_array_equal(got[0], want[:, :, ::-1].transpose(2, 0, 1), err_msg=where)


def picture(rng, width, height, channels=3):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return rng.integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("source,target", ADVERSE, ids=str)
@pytest.mark.parametrize("fit", saccade.FITS)
def test_adverse_sizes(rng, source, target, fit):
    compare(picture(rng, *source), *target, fit)


@pytest.mark.parametrize("fit", saccade.FITS)
def test_random_sizes(rng, fit):
    """300 of each kind; sizes spread evenly over their logarithm, so that small ones come too."""
    for _ in range(300):
        width0, height0, width, height = np.exp(rng.uniform(0, np.log(900), 4)).astype(int)
        compare(picture(rng, width0, height0), int(width), int(height), fit,
                bool(rng.integers(2)), int(rng.choice([1, 8, 32, 64])), int(rng.integers(256)))


def test_extreme_values(rng):
    """Only 0 and 255: the largest steps, where rounding errors show first."""
    for _ in range(100):
        width0, height0 = rng.integers(1, 300, 2)
        compare(picture(rng, width0, height0) // 128 * 255, 320, 256)


def test_wide_plan():
    """Plans alone are cheap: every width up to 3000 at several heights."""
    for width0 in range(1, 3000):
        for height0 in (1, 7, 480, 719, 1080, 4001):
            want = peer_plan(width0, height0, 640, 640, "pad", False, 32)
            plan = saccade.fit(width0, height0, 640, 640)
            assert ((plan.new_width, plan.new_height), plan.left, plan.top) == \
                (want[0], want[1][0], want[2][0]), (width0, height0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("bgr", [True, False])
def test_values(rng, dtype, scaled, bgr):
    source = picture(rng, 97, 61)
    _, want = peer_letterbox(source, 128, 96)
    want = want.transpose(2, 0, 1) if bgr else want[:, :, ::-1].transpose(2, 0, 1)
    want = want.astype(np.float32)
    if scaled:
        want *= np.float32(1) / np.float32(255)
    got = saccade.letterbox(source, saccade.fit(97, 61, 128, 96), dtype=dtype, bgr=bgr,
                            scaled=scaled)
    np.testing.assert_array_equal(got[0], want.astype(dtype))


@pytest.mark.parametrize("fmt", saccade.FORMATS)
@pytest.mark.parametrize("stride", ["tight", "padded", "negative"])
def test_formats(rng, fmt, stride):
    to_bgr = {"bgr": None, "rgb": cv2.COLOR_RGB2BGR, "bgra": cv2.COLOR_BGRA2BGR,
              "rgba": cv2.COLOR_RGBA2BGR, "gray": cv2.COLOR_GRAY2BGR}[fmt]
    for width0, height0 in [(1, 1), (37, 53), (200, 9), (641, 480)]:
        source = picture(rng, width0 + 3, height0, saccade.CHANNELS[fmt])
        source = source[:, :-3] if stride != "tight" else source[:, :-3].copy()
        if stride == "negative":
            source = source[::-1]
        bgr = np.ascontiguousarray(source)
        bgr = bgr if to_bgr is None else cv2.cvtColor(bgr, to_bgr)
        _, want = peer_letterbox(bgr, 160, 96)
        got = saccade.letterbox(source, saccade.fit(width0, height0, 160, 96), fmt, "uint8")
        np.testing.assert_array_equal(got[0], want[:, :, ::-1].transpose(2, 0, 1))


def compare_nv12(luma, chroma, inner=None):
    """The planes as OpenCV converts them, resized to `inner` or as they are."""
    bgr = cv2.cvtColorTwoPlane(luma, chroma, cv2.COLOR_YUV2BGR_NV12)
    width, height = inner or luma.shape[::-1]
    _, want = peer_letterbox(bgr, width, height)
    got = saccade.letterbox(saccade.nv12_of(luma, chroma),
                            saccade.fit(*luma.shape[::-1], width, height), dtype="uint8")
    np.testing.assert_array_equal(got[0], want[:, :, ::-1].transpose(2, 0, 1))


def test_nv12_all():
    """Every luma with every chroma pair: 2^24 pixels, unresized."""
    luma = np.tile(np.arange(256, dtype=np.uint8).reshape(64, 1, 4), (1, 512, 1))
    luma = luma.reshape(64, 512, 2, 2).transpose(0, 2, 1, 3)  # a quarter of all a pair of rows
    pairs = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).astype(np.uint8)
    for rows in pairs.reshape(128, 512, 2):
        chroma = np.ascontiguousarray(np.broadcast_to(rows, (64, 512, 2)))
        compare_nv12(np.ascontiguousarray(luma.reshape(128, 1024)), chroma)


def test_nv12_sizes(rng):
    for width0, height0 in [(2, 2), (38, 54), (200, 8), (642, 480)]:
        luma = picture(rng, width0 + 6, height0, 1)[:, :-6]
        chroma = picture(rng, width0 // 2, height0 // 2, 2)
        compare_nv12(luma, chroma, (160, 96))


def test_batch_index(rng):
    out = np.full((3, 3, 32, 64), 9, np.float32)
    source = picture(rng, 50, 40)
    saccade.letterbox(source, saccade.fit(50, 40, 64, 32), out=out, index=1)
    assert (out[[0, 2]] == 9).all() and (out[1] <= 1).all()


def refuse(name, words, call):
    with pytest.raises(saccade.Error) as caught:
        call()
    assert caught.value.name == name and words in str(caught.value)


def test_refusals(rng):
    plan, source = saccade.fit(50, 40, 64, 32), picture(rng, 50, 40)
    refuse("SAC_EINVAL", "picture width 0", lambda: saccade.fit(0, 1, 1, 1))
    refuse("SAC_EINVAL", "input height 1048577", lambda: saccade.fit(1, 1, 1, 2**20 + 1))
    refuse("SAC_EINVAL", "stride -1", lambda: saccade.fit(1, 1, 1, 1, stride=-1))
    refuse("SAC_EINVAL", "padding value of 256",
           lambda: saccade.letterbox(source, plan, pad=256))
    refuse("SAC_EINVAL", "49 x 40", lambda: saccade.letterbox(source[:, :49], plan))
    refuse("SAC_EINVAL", "(N,3,32,64)",
           lambda: saccade.letterbox(source, plan, out=np.zeros((1, 3, 64, 32), np.float32)))
    refuse("SAC_EINVAL", "picture 1 of an input for 1",
           lambda: saccade.letterbox(source, plan, index=1))
    refuse("SAC_EINVAL", "not contiguous", lambda: saccade.letterbox(
        source, plan, out=np.zeros((1, 3, 32, 128), np.float32)[..., ::2]))
