# SPDX-License-Identifier: Apache-2.0
"""What each option of detect changes."""
import json

import cv2
import numpy as np
import pytest
from conftest import NAMES, Spec, boxes, detect, model_path, picture, run


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return picture(tmp_path_factory.mktemp("one") / "a.png", 200, 150, seed=3)


@pytest.fixture(scope="module")
def found(model, conf, one):
    """Runs detect on one picture; gives its detections."""
    def call(*args, use=model, at=conf):
        result = detect(use, one, "--conf", at, "-q", *args)
        assert result.code == 0, result.err
        return boxes(result)[0]
    return call


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0) * max(h, 0)
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return inter / (sum(area) - inter) if inter else 0


def test_conf(found, conf):
    some = found()
    assert 3 < len(some) and all(d["score"] > float(conf) for d in some)
    scores = [d["score"] for d in some]
    assert scores == sorted(scores, reverse=True)
    middle = scores[len(scores) // 2]
    fewer = found(at=f"{middle:.9f}")
    assert 0 < len(fewer) < len(some) and all(d["score"] >= middle for d in fewer)
    assert found(at="1") == []


def test_iou(found):
    strict, loose = found("--iou", "0.1"), found("--iou", "0.9")
    assert len(strict) < len(loose)
    for i, a in enumerate(strict):
        for b in strict[:i]:
            if a["class"] == b["class"]:
                assert iou(a["box"], b["box"]) <= 0.1 + 1e-4


def test_max_det(found):
    assert found("--max-det", "2") == found()[:2]


def test_classes(found):
    everything = found("--iou", "1", "--max-det", "30000")
    present = sorted({d["class_id"] for d in everything})
    for want in present:
        expected = [d for d in everything if d["class_id"] == want]
        assert found("--iou", "1", "--max-det", "30000", "--classes", str(want)) == expected
        assert found("--iou", "1", "--max-det", "30000", "--classes", NAMES[want]) == expected
    both = found("--iou", "1", "--max-det", "30000", "--classes", f"{NAMES[present[0]]}, 4")
    assert both == [d for d in everything if d["class_id"] in (present[0], 4)]


@pytest.mark.parametrize("value,message", [
    ("cat", "no class named 'cat'; the model has: qr_code, data_matrix"),
    ("5", "no class 5; the model has 0 to 4"), ("-1", "no class -1"), ("0,,1", "no class named ''"),
    ("99999999999999999999", "no class"), ("0,", "no class named ''"),
])
def test_wrong_classes(model, one, value, message):
    result = detect(model, one, "--classes", value)
    assert result.code == 2 and message in result.err and not result.out


def test_agnostic(found):
    apart, together = found("--iou", "0.3"), found("--iou", "0.3", "--agnostic")
    assert len(together) <= len(apart)
    for i, a in enumerate(together):
        for b in together[:i]:
            assert iou(a["box"], b["box"]) <= 0.3 + 1e-4


def test_multi_label(found):
    args = ("--iou", "1", "--max-det", "30000")
    single, several = found(*args), found(*args, "--multi-label")
    key = lambda d: (d["class_id"], d["score"], d["box"])  # noqa: E731
    assert len(several) >= len(single)
    assert all(key(d) in map(key, several) for d in single)


def test_boxes_lie_in_the_picture(found):
    for d in found("--max-det", "30000", "--iou", "1"):
        x1, y1, x2, y2 = d["box"]
        assert 0 <= x1 <= x2 <= 200 and 0 <= y1 <= y2 <= 150
        assert d["class"] == NAMES[d["class_id"]]


def test_compat(model, conf, tmp_path):
    """An odd size, so that rounding the padding matters."""
    odd = picture(tmp_path / "odd.png", 333, 77)
    args = (model, odd, "--conf", conf, "-q")
    exact, old = detect(*args), detect(*args, "--compat", "yolov5")
    assert boxes(exact) == boxes(detect(*args, "--compat=exact"))
    assert [d["score"] for d in boxes(exact)[0]] == [d["score"] for d in boxes(old)[0]]
    assert boxes(exact) != boxes(old)
    shift = np.array([d["box"] for d in boxes(exact)[0]]) - [d["box"] for d in boxes(old)[0]]
    assert np.abs(shift).max() < 333 / 160 * 1.5


def test_pad_matters_only_beside_the_picture(found, model, conf, tmp_path):
    assert found("--pad", "0") != found("--pad", "255")
    assert found("--pad", "114") == found()
    square = picture(tmp_path / "square.png", 160, 160)
    first = boxes(detect(model, square, "--conf", conf, "--pad", "0"))
    assert first == boxes(detect(model, square, "--conf", conf, "--pad", "255"))


def test_stretch_equals_a_picture_of_the_input_size(model, conf, one, tmp_path):
    small = cv2.resize(cv2.imread(str(one)), (160, 160), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(tmp_path / "small.png"), small)
    stretched = boxes(detect(model, one, "--conf", conf, "--letterbox", "stretch"))[0]
    direct = boxes(detect(model, tmp_path / "small.png", "--conf", conf))[0]
    assert len(stretched) == len(direct) > 0
    for a, b in zip(stretched, direct):
        assert a["score"] == b["score"]
        assert np.allclose(a["box"], np.array(b["box"]) * np.array([200, 150, 200, 150]) / 160, atol=1e-3)


def test_no_upscale(model, conf, tmp_path):
    small = picture(tmp_path / "small.png", 80, 60)
    args = (model, small, "--conf", conf)
    padded = np.full((160, 160, 3), 114, np.uint8)
    padded[50:110, 40:120] = cv2.imread(str(small))
    cv2.imwrite(str(tmp_path / "padded.png"), padded)
    plain = boxes(detect(*args, "--no-upscale"))[0]
    assert plain != boxes(detect(*args))[0]
    by_hand = boxes(detect(model, tmp_path / "padded.png", "--conf", conf))[0]
    assert [d["score"] for d in plain] == [d["score"] for d in by_hand]


def test_auto_letterbox_and_imgsz(dynamic_model, model, conf, one):
    """A dynamic model; 200×150 at 160 becomes 160×120, padded to 160×128."""
    args = (dynamic_model, one, "--conf", conf, "--imgsz", "160")
    auto, full = detect(*args, "--letterbox", "auto"), detect(*args)
    assert auto.code == 0 and boxes(auto)[0] and boxes(auto) != boxes(full)
    assert boxes(full) == boxes(detect(model, one, "--conf", conf))
    wide = detect(*args, "--imgsz", "320x96")
    assert wide.code == 0 and boxes(wide) != boxes(full)
    refused = detect(model, one, "--letterbox", "auto")
    assert refused.code == 2 and "dynamic" in refused.err


def test_fixed_model_refuses_other_sizes(model, one):
    for args in (["--imgsz", "320"], ["--batch", "2"]):
        result = detect(model, one, *args)
        assert result.code == 2 and "fixed at" in result.err
    assert detect(model, one, "--imgsz", "160", "--batch", "1").code == 0


def test_layout(found, model, one):
    assert found("--layout", "v5") == found()
    wrong = detect(model, one, "--layout", "v8")
    assert wrong.code == 4 and "v8" in wrong.err


def test_ops_are_equal(found):
    assert found("--ops", "c", "--precision", "fp32") == \
        found("--ops", "auto", "--precision", "fp32")


def test_precision(found, model, one):
    exact = found("--precision", "fp32")
    again = found("--precision", "fp32", "--no-cache", "--device", "cpu", "--backend", "openvino")
    assert exact == again
    inspected = run("inspect", model, "--json", "--precision", "fp32")
    assert json.loads(inspected.out)["precision"] == "fp32"


def test_unknown_device_and_backend(model, one):
    result = detect(model, one, "--device", "cuda:7")
    assert result.code == 5 and "cuda" in result.err
    result = detect(model, one, "--backend", "abacus")
    assert result.code == 2 and "abacus" in result.err
    result = detect(model, one, env={"SACCADE_PLUGINS": "/nowhere"})
    assert result.code == 5 and "/nowhere" in result.err


def test_cache_dir(model, one, tmp_path):
    assert detect(model, one, "--cache-dir", tmp_path / "cache").code == 0
    assert any(p.is_file() for p in (tmp_path / "cache").rglob("*"))
    home = tmp_path / "home"
    assert detect(model, one, "--no-cache", env={"XDG_CACHE_HOME": str(home)}).code == 0
    assert not home.exists()
    assert detect(model, one, env={"XDG_CACHE_HOME": str(home)}).code == 0
    assert (home / "saccade").is_dir()


def test_max_pixels(model, one):
    result = detect(model, one, "--max-pixels", "29999")
    assert result.code == 3 and "200 x 150" in result.err and "29999" in result.err
    assert detect(model, one, "--max-pixels", "30k").code == 0


def test_words_go_to_stderr_and_can_be_silenced(model, one):
    loud, quiet = detect(model, one), detect(model, one, "--quiet")
    assert "1 picture, " in loud.err and "pictures/s" in loud.err and "network" in loud.err
    assert quiet.err == "" and len(quiet.lines) == len(loud.lines) == 1


def test_one_class_model(one):
    path = model_path(Spec("v5n", size=(160, 160), classes=1, names=("code",)))
    result = detect(path, one, "--conf", "0.0001", "--classes", "code")
    assert result.code == 0 and {d["class"] for d in boxes(result)[0]} <= {"code"}
