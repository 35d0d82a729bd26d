# SPDX-License-Identifier: Apache-2.0
"""Where results go: each output against the JSON Lines of the same run."""
import csv
import io
import json
import os
import resource
import subprocess

import cv2
import numpy as np
import pytest
from conftest import NAMES, PROGRAM, Spec, detect, environment, model_path, picture


@pytest.fixture
def run_all(model, conf, photos, tmp_path):
    """Every output of one run over the photos and one file that is none."""
    def call(*more, inputs=None):
        bad = tmp_path / "photos" / "3-bad.jpg"
        bad.write_bytes(b"no picture")
        out = tmp_path / "out"
        result = detect(model, *(inputs or sorted([*photos, bad])), "--conf", conf, "-q",
                        "--json", out / "a.jsonl", "--save", out / "save", "--txt", out / "txt",
                        "--coco", out / "coco.json", "--csv", out / "a.csv",
                        "--crops", out / "crops", *more)
        lines = [json.loads(line) for line in (out / "a.jsonl").read_text().splitlines()]
        return result, lines, out
    return call


def test_all_outputs_agree(run_all, photos):
    result, lines, out = run_all()
    assert result.code == 3 and not result.out, result.err
    assert [line["source"] for line in lines if "error" not in line] == [str(p) for p in photos]
    good = [line for line in lines if "error" not in line]
    assert sum(len(line["detections"]) for line in good) > 20
    check_json(lines)
    check_csv(good, out / "a.csv")
    check_coco(good, out / "coco.json")
    for line in good:
        check_txt(line, out / "txt")
        check_saved(line, out / "save")
        check_crops(line, out / "crops")
    assert not list(out.rglob("*.part"))
    assert len(list((out / "txt").iterdir())) == len(list((out / "save").iterdir())) == len(good)


def stem(line):
    return os.path.splitext(os.path.basename(line["source"]))[0]


def check_json(lines):
    for line in lines:
        assert line["schema"] == 1
        if "error" in line:
            assert list(line) == ["schema", "source", "error"]
            continue
        assert list(line) == ["schema", "source", "frame", "width", "height", "detections", "ms"]
        assert list(line["ms"]) == ["open", "letterbox", "network", "boxes"]
        for d in line["detections"]:
            assert list(d) == ["class_id", "class", "score", "box"]
            assert d["class"] == NAMES[d["class_id"]]


def check_csv(lines, path):
    rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    expected = [(line, d) for line in lines for d in line["detections"]]
    assert len(rows) == len(expected)
    for row, (line, d) in zip(rows, expected):
        assert row["source"] == line["source"] and row["class"] == d["class"]
        assert [int(row[k]) for k in ("frame", "width", "height", "class_id")] == [
            0, line["width"], line["height"], d["class_id"]]
        assert float(row["score"]) == d["score"]
        assert [float(row[k]) for k in ("x1", "y1", "x2", "y2")] == d["box"]


def check_coco(lines, path):
    entries = json.loads(path.read_text())
    expected = [(line, d) for line in lines for d in line["detections"]]
    assert len(entries) == len(expected)
    for entry, (line, d) in zip(entries, expected):
        x1, y1, x2, y2 = d["box"]
        assert entry["image_id"] == int(stem(line)) and entry["category_id"] == d["class_id"]
        assert entry["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=6e-4)
        assert entry["score"] == pytest.approx(d["score"], abs=6e-6)
        assert all(round(v, 3) == v for v in entry["bbox"])
        assert round(entry["score"], 5) == entry["score"]


def check_txt(line, folder):
    rows = (folder / f"{stem(line)}.txt").read_text().splitlines()
    assert len(rows) == len(line["detections"])
    w, h = line["width"], line["height"]
    for row, d in zip(rows, line["detections"]):
        x1, y1, x2, y2 = d["box"]
        values = [(x1 + x2) / 2 / w, (y1 + y2) / 2 / h, (x2 - x1) / w, (y2 - y1) / h]
        numbers = [float(v) for v in row.split()[1:]]
        assert row == " ".join([str(d["class_id"]), *(f"{v:g}" for v in numbers)])
        assert numbers == pytest.approx(values, rel=2e-5, abs=1e-6)


def check_saved(line, folder):
    ext = "jpg" if line["source"].endswith(".jpg") else "png"
    path = folder / f"{stem(line)}.{ext}"
    image = cv2.imread(str(path))
    assert image.shape[:2] == (line["height"], line["width"])
    original = cv2.imread(line["source"])
    if line["detections"]:
        assert (image != original).any()
    elif ext == "png":
        assert (image == original).all()


def check_crops(line, folder):
    for i, d in enumerate(line["detections"]):
        image = cv2.imread(str(folder / d["class"] / f"{stem(line)}-{i}.jpg"))
        x1, y1, x2, y2 = d["box"]
        assert abs(image.shape[1] - (x2 - x1)) <= 2 and abs(image.shape[0] - (y2 - y1)) <= 2


def test_workers_change_no_byte(run_all, tmp_path):
    trees = []
    for threads in (1, 4):
        _, _, out = run_all("--threads", threads, "--precision", "fp32")
        tree = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*"))
                if p.is_file() and p.suffix != ".jsonl"}
        trees.append(tree)
        subprocess.run(["rm", "-r", out], check=True)
    assert trees[0] == trees[1] and len(trees[0]) > 10


def test_formats_and_options(model, conf, photos, tmp_path):
    args = [model, photos[1], "--conf", conf, "-q", "--save", tmp_path / "s",
            "--crops", tmp_path / "c"]
    for ext, magic in (("png", b"\x89PNG"), ("webp", b"RIFF"), ("jpg", b"\xff\xd8")):
        assert detect(*args, "--image-format", ext).code == 0
        assert (tmp_path / "s" / f"1.{ext}").read_bytes().startswith(magic)
        assert all(p.read_bytes().startswith(magic) for p in (tmp_path / "c").rglob(f"*.{ext}"))
    sizes = []
    for quality in (30, 95):
        assert detect(*args, "--image-format", "jpg", "--quality", quality).code == 0
        sizes.append((tmp_path / "s" / "1.jpg").stat().st_size)
    assert sizes[0] * 1.5 < sizes[1]
    pictures = []
    for more in ([], ["--hide-scores"], ["--hide-labels"], ["--line-width", "9"]):
        assert detect(*args, *more).code == 0
        pictures.append(cv2.imread(str(tmp_path / "s" / "1.png")))
    changed = [(p != cv2.imread(str(photos[1]))).any(axis=2).sum() for p in pictures]
    assert changed[2] < changed[1] < changed[0] and changed[3] > changed[2]


def test_crop_margin(model, conf, photos, tmp_path):
    lines = detect(model, photos[0], "--conf", conf, "-q").lines
    for margin in ("0", "0.5"):
        assert detect(model, photos[0], "--conf", conf, "-q", "--crops", tmp_path / margin,
                      "--crop-margin", margin).code == 0
    for i, d in enumerate(lines[0]["detections"]):
        small, large = (cv2.imread(str(tmp_path / m / d["class"] / f"0-{i}.jpg"))
                        for m in ("0", "0.5"))
        x1, y1, x2, y2 = d["box"]
        width = min(x2 + (x2 - x1) / 2, lines[0]["width"]) - max(x1 - (x2 - x1) / 2, 0)
        assert abs(large.shape[1] - width) <= 2
        assert large.shape[0] >= small.shape[0]


def test_txt_conf(model, conf, photos, tmp_path):
    lines = detect(model, photos[0], "--conf", conf, "-q").lines
    assert detect(model, photos[0], "--conf", conf, "-q", "--txt", tmp_path / "t",
                  "--txt-conf").code == 0
    rows = (tmp_path / "t" / "0.txt").read_text().splitlines()
    scores = [d["score"] for d in lines[0]["detections"]]
    assert [float(row.split()[5]) for row in rows] == pytest.approx(scores, rel=1e-5)


def test_same_names_in_folders(model, conf, tmp_path):
    for name in ("in/a/x.jpg", "in/b/x.jpg", "in/b/x.png"):
        picture(tmp_path / name)
    out = tmp_path / "out"
    assert detect(model, tmp_path / "in", "-r", "--conf", conf, "-q", "--txt", out).code == 0
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.txt")) == [
        "a/x.txt", "b/x-2.txt", "b/x.txt"]
    out = tmp_path / "flat"
    files = [tmp_path / n for n in ("in/a/x.jpg", "in/b/x.jpg", "in/b/x.png")]
    assert detect(model, *files, "--conf", conf, "-q", "--txt", out).code == 0
    assert sorted(p.name for p in out.iterdir()) == ["x-2.txt", "x-3.txt", "x.txt"]


def test_inputs_are_never_overwritten(model, conf, photos):
    folder = photos[0].parent
    before = {p: p.read_bytes() for p in folder.iterdir()}
    result = detect(model, folder, "--conf", conf, "-q", "--save", folder)
    assert result.code in (1, 2) and str(folder) in result.err
    assert all(p.read_bytes() == data for p, data in before.items())


def test_neighbours_are_not_overwritten(model, conf, tmp_path):
    """a.bmp would become a.png, which is an input too."""
    files = [picture(tmp_path / "a.bmp"), picture(tmp_path / "a.png", seed=1)]
    before = [p.read_bytes() for p in files]
    result = detect(model, *files, "--conf", conf, "-q", "--save", tmp_path)
    assert result.code == 1 and "a.png" in result.err
    assert [p.read_bytes() for p in files] == before


def test_other_inputs_are_not_overwritten(model, conf, tmp_path):
    """out/x.png is an input that comes later: by name, in a list, found by a pattern."""
    first, later = picture(tmp_path / "a" / "x.png"), picture(tmp_path / "out" / "x.png", seed=1)
    before = later.read_bytes()
    (tmp_path / "list.txt").write_text(f"{later}\n")
    for more in ([later], ["--list", tmp_path / "list.txt"], [tmp_path / "o*" / "*.png"]):
        result = detect(model, first, *more, "--conf", conf, "-q", "--save", tmp_path / "out")
        assert result.code == 1 and "x.png: may be an input" in result.err
        assert later.read_bytes() == before
    assert detect(model, first, "--conf", conf, "-q", "--save", tmp_path / "out").code == 0
    assert later.read_bytes() != before, "no input of this run: an output of an earlier one"


def test_what_a_run_writes_is_no_input_of_it(model, conf, tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "z" / "b.png", seed=1)
    for _ in range(2):
        result = detect(model, "-r", ".", "--conf", conf, "-q", "--save", "m", "--crops", "z/c",
                        "--json", "-", cwd=tmp_path)
        assert result.code == 0, result.err
        assert [line["source"] for line in result.lines] == ["./a.png", "./z/b.png"]
        assert (tmp_path / "m" / "z" / "b.png").exists()


@pytest.mark.parametrize("option", ["json", "csv", "coco"])
def test_file_outputs_replace_no_input(model, tmp_path, option):
    """Least of all where the option was taken for a flag: --json a.png b.png."""
    files = [picture(tmp_path / "a.png"), picture(tmp_path / "b", seed=1, kind="png"),
             tmp_path / "m.onnx", tmp_path / "list.txt"]
    files[2].write_bytes(model.read_bytes())
    files[3].write_text(f"{files[1]}\n")
    before = [p.read_bytes() for p in files]
    for target, words, code in (
            (files[0], [files[1]], 2), (files[2], [files[1]], 2), (files[1], [files[1]], 1),
            (files[3], ["--list", files[3]], 1), (files[1], ["--list", files[3]], 1)):
        result = detect(*([model] if target == files[2] else [files[2]]), *words, "-q",
                        f"--{option}", target)
        assert result.code == code and str(target) in result.err and not result.out, result.err
        assert [p.read_bytes() for p in files] == before


def test_one_file_for_one_output(model, photos, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("a")
    for one, other in (("a", "a"), ("a", "link")):
        result = detect(model, photos[0], "--json", tmp_path / one, "--csv", tmp_path / other)
        assert result.code == 2 and "--json and --csv name the same place" in result.err
        (tmp_path / "a").write_text("old")
    assert (tmp_path / "a").read_text() == "old"
    for one, other in (("coco", "txt"), ("json", "crops")):
        result = detect(model, photos[0], f"--{one}", tmp_path / "n", f"--{other}", tmp_path / "n")
        assert result.code == 2 and "name the same place" in result.err
        assert not (tmp_path / "n").exists()
    assert detect(model, photos[0], "-q", "--json", "/dev/null", "--csv", "/dev/null").code == 0


def test_unicode_everywhere(tmp_path):
    names = ("naïve 码", "шум/../../x", "🙂", "\"q\",1", "")
    model = model_path(Spec("v5n", size=(160, 160), classes=5, names=names))
    source = picture(tmp_path / "карта 码.png")
    out = tmp_path / "out"
    result = detect(model, source, "--conf", "0.001", "-q", "--json", "-", "--save", out / "s",
                    "--crops", out / "c", "--csv", out / "a.csv", "--coco", out / "c.json")
    assert result.code == 0, result.err
    found = result.lines[0]["detections"]
    assert {d["class"] for d in found} <= {*names[:4], "class_4"}
    assert result.lines[0]["source"] == str(source)
    assert (out / "s" / "карта 码.png").exists()
    rows = list(csv.reader(io.StringIO((out / "a.csv").read_text(), newline="")))
    assert [row[5] for row in rows[1:]] == [d["class"] for d in found]
    assert all((tmp_path / "out") in p.parents for p in tmp_path.rglob("*.jpg"))
    assert json.loads((out / "c.json").read_text())[0]["image_id"] == "карта 码"


def test_bytes_that_are_no_utf8(model, conf, tmp_path):
    source = picture(tmp_path / "a.png")
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    os.rename(source, odd)
    done = subprocess.run([PROGRAM, "detect", model, odd, "--conf", conf, "-q", "--json", "-",
                           "--save", tmp_path / "s"], capture_output=True, env=environment())
    assert done.returncode == 0
    assert json.loads(done.stdout)["source"].endswith("/\ufffd\ufffd.png")
    assert os.path.exists(os.fsencode(tmp_path) + b"/s/\xff\xfe.png")


def test_no_boxes(model, photos, tmp_path):
    result = detect(model, photos[0], "--conf", "1", "-q", "--json", "-", "--txt", tmp_path / "t",
                    "--coco", tmp_path / "c.json", "--csv", tmp_path / "a.csv",
                    "--crops", tmp_path / "c")
    assert result.code == 0 and result.lines[0]["detections"] == []
    assert (tmp_path / "t" / "0.txt").read_bytes() == b""
    assert json.loads((tmp_path / "c.json").read_text()) == []
    assert (tmp_path / "a.csv").read_text().count("\n") == 1
    assert list((tmp_path / "c").iterdir()) == []


def test_many_boxes(model, tmp_path):
    source = picture(tmp_path / "wide.png", 8000, 200)
    result = detect(model, source, "--conf", "0.0001", "--iou", "1", "-q", "--json", "-",
                    "--save", tmp_path / "s")
    assert result.code == 0 and len(result.lines[0]["detections"]) == 300
    assert cv2.imread(str(tmp_path / "s" / "wide.png")).shape == (200, 8000, 3)


@pytest.mark.parametrize("option", ["json", "csv", "coco"])
def test_stdout(model, conf, photos, option):
    result = detect(model, photos[0], "--conf", conf, "-q", f"--{option}", "-")
    assert result.code == 0 and result.out.endswith(b"\n")


@pytest.mark.parametrize("option", ["json", "csv", "coco", "save", "txt", "crops"])
@pytest.mark.parametrize("target", ["/dev/full", "/proc/nowhere/x", "/dev/null/x"])
def test_unwritable(model, conf, photos, option, target):
    result = detect(model, photos[0], "--conf", conf, "-q", f"--{option}", target)
    assert result.code == 1 and target in result.err, result.err
    assert "saccade:" in result.err and result.err.count("\n") == 1


def test_full_disk(model, conf, photos, tmp_path):
    """A limit on file sizes stands in for the disk: what is there is whole."""
    limit = 6000
    (tmp_path / "out").mkdir()
    args = [PROGRAM, "detect", model, *photos * 4, "--conf", conf, "-q", "--no-cache"]
    targets = [["--json", tmp_path / "out" / "a.jsonl"], ["--save", tmp_path / "out"]]
    for more in targets:
        done = subprocess.run([*args, *more], capture_output=True, env=environment(), check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                    (limit, limit)))
        assert done.returncode == 1, done.stderr
        assert b"saccade: " in done.stderr and b"out" in done.stderr
    text = (tmp_path / "out" / "a.jsonl").read_text()
    assert text.endswith("\n") and all(json.loads(line) for line in text.splitlines())
    for path in (tmp_path / "out").glob("*.[pj][np]g"):
        assert cv2.imread(str(path)) is not None
    assert not list((tmp_path / "out").glob("*.part*")) and not list((tmp_path / "out").glob(".*"))


def test_existing_files_are_replaced_whole(model, conf, photos, tmp_path):
    target = tmp_path / "c.json"
    target.write_text("old and long" * 10000)
    target.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(target)
    assert detect(model, photos[0], "--conf", conf, "-q", "--coco", link).code == 0
    assert link.is_symlink() and json.loads(target.read_text())
    assert target.stat().st_mode & 0o777 == 0o640


def test_gray_frame_is_where_the_box_is(model, conf, tmp_path):
    """Only pixels near a box's edge or its label change: deep inside and far away all stay."""
    source = picture(tmp_path / "a.png", 640, 480)
    args = [model, source, "--conf", conf, "--max-det", "1", "-q", "--hide-labels"]
    result = detect(*args, "--json", "-", "--save", tmp_path / "s")
    box = np.array(result.lines[0]["detections"][0]["box"])
    changed = (cv2.imread(str(tmp_path / "s" / "a.png")) != cv2.imread(str(source))).any(axis=2)
    ys, xs = np.nonzero(changed)
    assert len(xs)
    near_x = np.minimum(abs(xs + .5 - box[0]), abs(xs + .5 - box[2])) < 5
    near_y = np.minimum(abs(ys + .5 - box[1]), abs(ys + .5 - box[3])) < 5
    assert (near_x | near_y).all()
    assert xs.min() >= box[0] - 5 and xs.max() <= box[2] + 5
    assert ys.min() >= box[1] - 5 and ys.max() <= box[3] + 5
