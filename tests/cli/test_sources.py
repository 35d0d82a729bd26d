# SPDX-License-Identifier: Apache-2.0
"""What is taken as input, and in which order."""
import os
import shutil

import pytest
from conftest import detect, picture


def sources(result):
    return [line["source"] for line in result.lines]


def folder(root, *names):
    first = picture(root / names[0])
    for name in names[1:]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(first, root / name)


def test_file(model, photos):
    result = detect(model, photos[1])
    assert result.code == 0
    line, = result.lines
    assert line["schema"] == 1 and line["source"] == str(photos[1]) and line["frame"] == 0
    assert (line["width"], line["height"]) == (90, 200)
    assert set(line["ms"]) == {"open", "letterbox", "network", "boxes"}


def test_folder_is_sorted_bytewise_and_skips_what_is_no_picture(model, tmp_path):
    folder(tmp_path / "d", "b.png", "a.png", "B.PNG", "10.png", "9.png", "ä.png", ".hidden.png")
    (tmp_path / "d" / "notes.txt").write_text("no picture")
    (tmp_path / "d" / "sub.png").mkdir()
    os.mkfifo(tmp_path / "d" / "pipe.png")
    result = detect(model, "d", cwd=tmp_path)
    assert result.code == 0, result.err
    assert sources(result) == ["d/10.png", "d/9.png", "d/B.PNG", "d/a.png", "d/b.png", "d/ä.png"]
    assert sources(detect(model, "d/", cwd=tmp_path)) == sources(result)


def test_recursion_only_on_request(model, tmp_path):
    folder(tmp_path / "d", "m.png", "a/z.png", "a.png", "n/deep/er/x.png", "a-b.png", ".git/x.png")
    (tmp_path / "d" / "empty").mkdir()
    os.symlink(tmp_path / "d", tmp_path / "d" / "loop")
    os.symlink(tmp_path / "d" / "m.png", tmp_path / "d" / "link.png")
    flat = ["d/a-b.png", "d/a.png", "d/link.png", "d/m.png"]
    assert sources(detect(model, "d", cwd=tmp_path)) == flat
    deep = detect(model, "-r", "d", cwd=tmp_path)
    assert deep.code == 0
    # as `LC_ALL=C sort` orders the paths
    assert sources(deep) == sorted(flat + ["d/a/z.png", "d/n/deep/er/x.png"])
    assert sources(detect(model, "d", "--recursive", cwd=tmp_path)) == sources(deep)


def test_operands_in_their_order(model, tmp_path):
    folder(tmp_path, "z.png", "d/b.png", "d/a.png", "c.png")
    result = detect(model, "z.png", "d", "c.png", "z.png", cwd=tmp_path)
    assert sources(result) == ["z.png", "d/a.png", "d/b.png", "c.png", "z.png"]


@pytest.mark.parametrize("pattern,expected", [
    ("d/*.png", ["d/a.png", "d/b1.png", "d/b2.png"]),
    ("d/b?.png", ["d/b1.png", "d/b2.png"]),
    ("d/[ab].png", ["d/a.png"]),
    ("*/x/*.png", ["d/x/deep.png"]),
    ("d/**/*.png", ["d/a.png", "d/b1.png", "d/b2.png", "d/x/deep.png", "d/x/y/deeper.png"]),
    ("**/y/*", ["d/x/y/deeper.png"]),
    ("d/**/y/**", ["d/x/y/deeper.png"]),
    ("**/deep*", ["d/x/deep.png", "d/x/y/deeper.png"]),
])
def test_patterns(model, tmp_path, pattern, expected):
    folder(tmp_path / "d", "a.png", "b1.png", "b2.png", "x/deep.png", "x/y/deeper.png", "c.jpg")
    os.remove(tmp_path / "d" / "c.jpg")
    result = detect(model, pattern, cwd=tmp_path)
    assert result.code == 0, result.err
    assert sources(result) == expected


def test_a_file_whose_name_looks_like_a_pattern(model, tmp_path):
    folder(tmp_path, "a[1].png", "a1.png")
    assert sources(detect(model, "a[1].png", cwd=tmp_path)) == ["a[1].png"]
    os.remove(tmp_path / "a[1].png")
    assert sources(detect(model, "a[1].png", cwd=tmp_path)) == ["a1.png"]


@pytest.mark.parametrize("pattern", ["d/*.webp", "**/*.webp", "nowhere/*"])
def test_pattern_without_match(model, tmp_path, pattern):
    folder(tmp_path, "d/a.png")
    result = detect(model, pattern, "d", cwd=tmp_path)
    assert result.code == 3 and f"{pattern}: no file matches" in result.err
    bad, good = result.lines
    assert bad == {"schema": 1, "source": bad["source"], "error": f"{pattern}: no file matches"}
    assert good["source"] == "d/a.png"


def test_folder_without_pictures(model, tmp_path):
    folder(tmp_path, "d/a.png", "deep/er/a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("")
    result = detect(model, "empty", "deep", "d", cwd=tmp_path)
    assert result.code == 3
    assert "saccade: empty/: no pictures in this folder" in result.err
    assert "saccade: deep/: no pictures in this folder; -r looks" in result.err
    assert [("error" in line, line["source"]) for line in result.lines] == \
        [(True, "empty/"), (True, "deep/"), (False, "d/a.png")]


def test_list_file(model, tmp_path):
    folder(tmp_path, "a.png", "b b.png", "d/c.png", "star*.png")
    (tmp_path / "list.txt").write_bytes(b"b b.png\r\n\nd\nmissing.png\nstar*.png\na.png")
    result = detect(model, "a.png", "--list", "list.txt", cwd=tmp_path)
    assert result.code == 3 and "missing.png" in result.err
    assert sources(result) == ["a.png", "b b.png", "d/c.png", "missing.png", "star*.png", "a.png"]
    (tmp_path / "other.txt").write_text("a.png\n")
    result = detect(model, "--list", "other.txt", "--list=other.txt", cwd=tmp_path)
    assert sources(result) == ["a.png", "a.png"]


def test_list_on_stdin_and_a_missing_list(model, tmp_path):
    folder(tmp_path, "a.png", "b.png")
    result = detect(model, "--list", "-", stdin=b"b.png\na.png\n", cwd=tmp_path)
    assert result.code == 0 and sources(result) == ["b.png", "a.png"]
    result = detect(model, "a.png", "--list", "nowhere.txt", cwd=tmp_path)
    assert result.code == 3 and "nowhere.txt: No such file" in result.err
    assert sources(result) == ["a.png", "nowhere.txt"]


def test_list_with_a_line_beyond_any_path(model, tmp_path):
    folder(tmp_path, "a.png")
    (tmp_path / "list.txt").write_bytes(b"a.png\n" + b"x" * 100000 + b"\na.png\n")
    result = detect(model, "--list", "list.txt", cwd=tmp_path)
    assert result.code == 3 and "a line of more than" in result.err
    assert sources(result)[0] == "a.png"


def test_stdin(model, photos, tmp_path):
    data = photos[0].read_bytes()
    from_file = detect(model, photos[0]).lines[0]
    result = detect(model, "-", stdin=data)
    assert result.code == 0
    line, = result.lines
    assert line["source"] == "-" and line["detections"] == from_file["detections"]
    result = detect(model, photos[1], "-", photos[1], stdin=data)
    assert sources(result) == [str(photos[1]), "-", str(photos[1])]


@pytest.mark.parametrize("data,why", [(b"", "empty"), (b"no picture", "standard input: ")])
def test_bad_stdin(model, data, why):
    result = detect(model, "-", stdin=data)
    assert result.code == 3 and why in result.err and "error" in result.lines[0]


def test_explicit_file_is_tried_whatever_its_name(model, tmp_path):
    picture(tmp_path / "a.png").rename(tmp_path / "a.data")
    (tmp_path / "b.txt").write_text("no picture")
    result = detect(model, "a.data", "b.txt", cwd=tmp_path)
    assert result.code == 3 and "b.txt" in result.err
    assert "detections" in result.lines[0] and "error" in result.lines[1]


def test_names_after_two_dashes(model, tmp_path):
    folder(tmp_path, "-r.png", "a.png")
    assert sources(detect(model, "--", "-r.png", "a.png", cwd=tmp_path)) == ["-r.png", "a.png"]


def test_names_that_are_no_utf8(model, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    shutil.copy(picture(tmp_path / "a.png"), path)
    os.remove(tmp_path / "a.png")
    result = detect(model, tmp_path)
    assert result.code == 0 and "\ufffd" in result.lines[0]["source"]


def test_output_names_stay_apart(model, conf, tmp_path):
    """Same base names, and same stems with other extensions, from anywhere."""
    folder(tmp_path, "x/a.png", "y/a.png", "y/sub/a.png", "a-2.png")
    shutil.copy(picture(tmp_path / "t.bmp"), tmp_path / "y" / "a.bmp")
    result = detect(model, "x/a.png", "-r", "y", "x/a.png", "a-2.png", "--conf", conf,
                    "--txt", "out", "--json", "-", cwd=tmp_path)
    assert result.code == 0
    assert sources(result) == ["x/a.png", "y/a.bmp", "y/a.png", "y/sub/a.png", "x/a.png", "a-2.png"]
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.txt"))
    assert written == ["a-2-2.txt", "a-2.txt", "a-3.txt", "a-4.txt", "a.txt", "sub/a.txt"]


def test_model_by_environment(model, photos):
    result = detect(photos[0], env={"SACCADE_MODEL": str(model)})
    assert result.code == 0 and len(result.lines) == 1
    result = detect(photos[0], env={"SACCADE_MODEL": "/nowhere/m.onnx"})
    assert result.code == 4 and "/nowhere/m.onnx" in result.err


def test_deep_folders(model, tmp_path):
    """Paths longer than the system takes are reported, and do not end the run."""
    top = tmp_path / "top"
    top.mkdir()
    picture(top / "z.png")
    here = os.open(top, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    result = detect(model, "-r", top)
    assert result.code == 3 and "File name too long" in result.err
    assert result.lines[-1]["source"] == str(top / "z.png")
