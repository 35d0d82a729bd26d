# SPDX-License-Identifier: Apache-2.0
"""Many pictures: order, equal bytes whatever the threads, bounded memory, interrupts."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from conftest import BUILD, PROGRAM, detect, environment, picture, without_ms

SANITIZED = any(name in str(BUILD) for name in ("asan", "tsan", "ubsan"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Forty pictures whose time to open differs a lot, and five files that are none."""
    root = tmp_path_factory.mktemp("many")
    for i in range(40):
        size = (1500, 1100) if i % 7 == 0 else (60 + 3 * i, 50 + i)
        picture(root / f"{i:02d}.{('png', 'jpg', 'bmp')[i % 3]}", *size, seed=i)
    for i in (3, 11, 12, 25, 39):
        (root / f"{i:02d}-bad.png").write_bytes(b"\x89PNG broken")
    return root


def tree(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def everything(model, many, out, *args):
    result = detect(model, many, "--precision", "fp32", "--json", out / "a.jsonl",
                    "--save", out / "save", "--txt", out / "txt", "--coco", out / "coco.json",
                    "--csv", out / "a.csv", "--crops", out / "crops", *args)
    assert result.code == 3, result.err
    files = tree(out)
    lines = [without_ms(json.loads(line)) for line in files.pop("a.jsonl").splitlines()]
    return lines, files, sorted(line for line in result.err.splitlines() if "bad" in line)


def test_bytes_do_not_depend_on_threads_or_batch(dynamic_model, conf, many, tmp_path):
    args = ["--conf", conf, "--max-det", "20", "--imgsz", "160"]
    variants = [["--threads", "1"], ["--threads", "2"], ["--threads", "4"], ["--batch", "3"],
                ["--threads", "4", "--batch", "7"], ["--streams", "1"], ["--streams", "2"]]
    first = None
    for i, variant in enumerate(variants):
        out = tmp_path / str(i)
        out.mkdir()
        lines, files, words = everything(dynamic_model, many, out, *args, *variant)
        if first is None:
            first = lines, files, words
            names = sorted(os.listdir(many))
            assert [os.path.basename(line["source"]) for line in lines] == names
            assert sum("error" in line for line in lines) == 5 == len(words)
            assert sum(len(line.get("detections", [])) for line in lines) > 40
            assert len(files) > 100
        assert lines == first[0], variant
        assert files.keys() == first[1].keys()
        different = [name for name in files if files[name] != first[1][name]]
        assert not different, variant
        assert words == first[2]


def test_memory_is_bounded(model, tmp_path):
    """2000 pictures of 3 MB each once opened: six gigabytes if they were kept."""
    root = tmp_path / "photos"
    first = picture(root / "00000.jpg", 1200, 900)
    count = 60 if SANITIZED else 2000
    for i in range(1, count):
        os.link(first, root / f"{i:05d}.jpg")
    command = [PROGRAM, "detect", model, root, "--quiet", "--threads", "4",
               "--json", tmp_path / "out.jsonl"]
    pid = os.posix_spawn(command[0], [str(c) for c in command], environment())
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with open(tmp_path / "out.jsonl", encoding="utf-8") as lines:
        assert sum(1 for _ in lines) == count
    if not SANITIZED:
        assert usage.ru_maxrss < 500 * 1024, f"{usage.ru_maxrss} KiB"


def start(*args, **options):
    # No buffer of ours: communicate() would leave what readline() has read ahead.
    return subprocess.Popen([PROGRAM, "detect", *map(str, args)], env=environment(), bufsize=0,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def whole_lines(data):
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_what_is_written_whole(model, conf, tmp_path, number):
    root = tmp_path / "photos"
    first = picture(root / "00000.png", 300, 200)
    for i in range(1, 20000):
        os.link(first, root / f"{i:05d}.png")
    out = tmp_path / "out"
    process = start(model, root, "--conf", conf, "--json", "-", "--coco", out.with_suffix(".json"),
                    "--csv", out.with_suffix(".csv"), "--txt", out, "--max-det", "5")
    head = [process.stdout.readline() for _ in range(20)]
    process.send_signal(number)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    lines = whole_lines(b"".join(head) + rest)
    assert 20 <= len(lines) < 19000
    assert [os.path.basename(line["source"]) for line in lines] == \
        [f"{i:05d}.png" for i in range(len(lines))]
    coco = json.loads(out.with_suffix(".json").read_bytes())
    assert len(coco) == sum(len(line["detections"]) for line in lines)
    assert out.with_suffix(".csv").read_bytes().count(b"\n") in (len(coco), len(coco) + 1)
    texts = sorted(p.name for p in out.glob("*"))
    assert texts == [f"{i:05d}.txt" for i in range(len(lines))]
    assert not list(tmp_path.glob("*.tmp*"))


def test_second_interrupt_kills(model, photos):
    """Where nobody reads its output the run cannot end in good order; the second signal ends it."""
    process = start(model, *photos * 1000, "--conf", "0")
    assert select.select([process.stdout], [], [], 60)[0]
    time.sleep(0.5)  # the pipe is full
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT
    process.communicate()


@pytest.mark.parametrize("args", [["-"], ["--list", "-"]])
def test_interrupt_while_waiting_for_stdin(model, args, photos):
    process = start(model, photos[0], *args, stdin=subprocess.PIPE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    with process:
        lines = whole_lines(process.stdout.read())
    assert all("error" not in line for line in lines)


def test_lines_come_as_they_are_ready(model, photos):
    """With a list that is still being written, results of earlier lines are already out."""
    process = start(model, "--list", "-", stdin=subprocess.PIPE)
    for path in photos[:3]:
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 60)[0]
        assert json.loads(process.stdout.readline())["source"] == str(path)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_closed_pipe(model, photos):
    process = start(model, *photos * 50)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read().decode()
    with process:
        assert process.wait(timeout=60) == 1
    assert "Broken pipe" in err


def test_closed_streams(model, photos, tmp_path):
    """Their numbers must not be taken by files that are opened later."""
    def shell(words):
        return subprocess.run(["sh", "-c", f'"$0" detect "$1" {words}', PROGRAM, model, photos[0]],
                              env=environment(), cwd=tmp_path, capture_output=True, timeout=60,
                              check=False)
    done = shell("- <&-")
    assert done.returncode == 3 and b"Bad file descriptor" in done.stderr
    done = shell('"$2" >&-')
    assert done.returncode == 1 and b"Bad file descriptor" in done.stderr
    assert shell('"$2" --csv a.csv <&- >&- 2>&-').returncode == 0
    header, *rows = (tmp_path / "a.csv").read_text().splitlines()
    assert header.startswith("source,") and all(row.count(",") == 10 for row in rows)


def on_terminal(*args, env=None, columns=100, **options):
    """Everything that the program writes to a terminal as its stderr."""
    ours, theirs = pty.openpty()
    os.set_inheritable(theirs, True)
    subprocess.run(["stty", "cols", str(columns)], stdin=theirs, check=False)
    process = subprocess.Popen([PROGRAM, "detect", *map(str, args)], stderr=theirs,
                               stdout=subprocess.DEVNULL,
                               env=environment(TERM="xterm", **(env or {})), **options)
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return written.decode()


def test_progress_bar(model, photos):
    paths = photos * 60
    text = on_terminal(model, *paths)
    assert re.search(r"\d+/360  [\d.]+/s  \d+:\d\d left", text) and "━" in text
    assert "\033[36m" in text and text.split("\033[K")[-1].startswith("360 pictures")
    bars = re.sub(r"\033\[[0-9;]*[mK]", "", text).split("\r")
    assert max(len(bar) for bar in bars if "left" in bar) < 100


@pytest.mark.parametrize("columns", [1, 20, 40])
def test_narrow_terminal(model, photos, columns):
    text = on_terminal(model, *photos * 60, columns=columns)
    bars = re.sub(r"\033\[[0-9;]*[mK]", "", text.split("360 pictures,")[0]).split("\r")
    assert len(bars) > 1 and max(map(len, bars)) < max(columns, 2)


def test_a_list_that_is_a_pipe_is_read_once(model, photos, tmp_path):
    """Counting for the bar must not take lines away."""
    ours, theirs = os.pipe()
    with open(theirs, "wb") as lines:
        lines.write(b"".join(bytes(path) + b"\n" for path in photos * 50))
    text = on_terminal(model, "--list", f"/dev/fd/{ours}", pass_fds=[ours])
    os.close(ours)
    assert "300 pictures," in text and "left" not in text


def test_no_colour_and_no_bar(model, photos):
    paths = photos * 20
    assert "\033[36m" not in on_terminal(model, *paths, env={"NO_COLOR": "1"})
    assert on_terminal(model, *paths, "--quiet") == ""
    assert "left" not in detect(model, *paths).err


def test_many_names_are_fast(model, tmp_path):
    """100,000 names of which one is a picture: the folder is read, nothing else is opened."""
    root = tmp_path / "names"
    picture(root / "a.png")
    for i in range(100_000):
        os.close(os.open(root / f"{i}.txt", os.O_CREAT | os.O_WRONLY))
    start_time = time.monotonic()
    result = detect(model, "-r", root)
    assert result.code == 0 and len(result.lines) == 1
    assert time.monotonic() - start_time < 20
