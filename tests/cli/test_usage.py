# SPDX-License-Identifier: Apache-2.0
"""Words: help, version, wrong options, man pages and completion."""
import os
import re
import subprocess

import pytest
from conftest import BUILD, PROGRAM, detect, environment, run

VERBS = ["detect", "inspect", "bench", "devices"]


def options_in(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"]] + [[v, "--help"] for v in VERBS] +
                         [["help", v] for v in VERBS] + [[v, "-h"] for v in VERBS])
def test_help_is_on_stdout(args):
    result = run(*args)
    assert result.code == 0 and not result.err
    text = result.out.decode()
    assert text.startswith("Usage: saccade ")
    assert max(map(len, text.splitlines())) <= 80
    if len(args) > 1:
        assert "Examples:" in text


@pytest.mark.parametrize("args", [["--version"], ["-V"], ["detect", "--version"], ["devices", "-V"]])
def test_version(args):
    result = run(*args)
    assert result.code == 0 and not result.err
    assert re.fullmatch(r"saccade \d+\.\d+\.\d+\nlibrary \d+\.\d+\.\d+\nbackends .*openvino.*\n",
                        result.out.decode())


def test_no_verb_is_usage():
    result = run()
    assert result.code == 2 and "Usage:" in result.err and not result.out


def test_unknown_verb():
    result = run("detec")
    assert result.code == 2 and "did you mean 'detect'?" in result.err
    result = run("--conf", "0.5")
    assert result.code == 2 and "'--conf' here; a verb comes first" in result.err
    result = run("help", "detec")
    assert result.code == 2 and "did you mean 'detect'?" in result.err and not result.out
    result = run("photo.jpg")
    assert result.code == 2 and "saccade detect photo.jpg" in result.err


WRONG = [
    (["--conf", "1.7"], "--conf: 1.7 is not within 0 to 1"),
    (["--conf", "-0.1"], "--conf: -0.1 is not within 0 to 1"),
    (["--conf", "nan"], "--conf: 'nan' is no number"),
    (["--conf", "half"], "--conf: 'half' is no number"),
    (["--conf="], "--conf"),
    (["--iou", "2"], "--iou: 2 is not within 0 to 1"),
    (["--max-det", "0"], "--max-det: 0 is not within 1 to 30000"),
    (["--max-det", "3.5"], "--max-det: '3.5' is no whole number"),
    (["--max-det", "99999999999999999999"], "--max-det"),
    (["--pad", "256"], "--pad: 256 is not within 0 to 255"),
    (["--compat", "yolo"], "--compat: 'yolo' is none of exact|yolov5"),
    (["--layout", "v9"], "--layout: 'v9' is none of auto|v5|v8|"),
    (["--imgsz", "0"], "--imgsz: 0 is not within"),
    (["--imgsz", "640x"], "--imgsz"),
    (["--imgsz", "640,480"], "--imgsz: '640,480' is neither N nor WIDTHxHEIGHT"),
    (["--batch", "0"], "--batch: 0 is not within 1 to 4096"),
    (["--letterbox", "none"], "--letterbox: 'none' is none of pad|auto|stretch"),
    (["--device", "gpu"], "--device: 'gpu' is none of auto, cpu, cuda, cuda:N"),
    (["--device", "cuda:x"], "--device: 'cuda:x'"),
    (["--precision", "int8"], "--precision: 'int8' is none of auto|fp32|bf16|fp16"),
    (["--threads", "-1"], "--threads: -1 is not within"),
    (["--streams", "many"], "--streams: 'many' is no whole number"),
    (["--ops", "simd"], "--ops: 'simd' is none of auto|c"),
    (["--max-pixels", "0"], "--max-pixels: 0 is not within"),
    (["--max-pixels", "1.5"], "--max-pixels: '1.5' is no whole number"),
    (["--max-pixels", "10T"], "--max-pixels"),
    (["--quality", "101"], "--quality: 101 is not within 1 to 100"),
    (["--line-width", "-1"], "--line-width"),
    (["--image-format", "gif"], "--image-format: 'gif' is none of"),
    (["--crop-margin", "11"], "--crop-margin"),
    (["--json", ""], "--json: is empty"),
    (["--save"], "--save: missing argument"),
    (["--quiet=yes"], "--quiet"),
    (["--cnof", "1"], "no option '--cnof'; did you mean --conf?"),
    (["--nothing-like-it"], "no option '--nothing-like-it'"),
    (["-x"], "no option '-x'"),
]


@pytest.mark.parametrize("words,message", WRONG, ids=lambda v: " ".join(v)[:30])
def test_wrong_option(words, message):
    result = detect("model.onnx", "a.jpg", *words)
    assert result.code == 2 and not result.out
    first, hint = result.err.splitlines()
    assert first.startswith("saccade: ") and message in first
    assert hint == "Try 'saccade detect --help'."


@pytest.mark.parametrize("args,message", [
    (["detect"], "no SOURCE"), (["detect", "model.onnx"], "no SOURCE"),
    (["detect", "m.onnx", "-", "-"], "standard input can be read only once"),
    (["detect", "m.onnx", "-", "--list", "-"], "standard input can be read only once"),
    (["detect", "m.onnx", "a.jpg", "--json", "-", "--csv", "-"], "only one output"),
    (["detect", "a.jpg", "m.onnx"], "'m.onnx': the model comes first"),
    (["detect", "m.onnx", "a.jpg", "n.ONNX"], "'n.ONNX': the model comes first"),
    (["detect", "m.onnx", "a.jpg", "--save", "-"], "--save takes a folder"),
    (["inspect", "a.onnx", "b.onnx"], "more than one MODEL"),
    (["devices", "cpu"], "takes no operand"),
    (["inspect", "a.onnx", "--conf", "0.5"], "no option '--conf'"),
])
def test_wrong_use(args, message):
    result = run(*args)
    assert result.code == 2 and message in result.err and not result.out


def test_man_pages_tell_all_options():
    for verb in VERBS:
        wanted = options_in(run(verb, "--help").out.decode().split("Examples:")[0])
        page = (BUILD / "cli" / f"saccade-{verb}.1").read_text()
        assert wanted and wanted <= options_in(re.sub(r"\\f[BIR]", "", page).replace("\\-", "-"))
        assert ".SH EXIT STATUS" in page and ".SH EXAMPLES" in page


@pytest.mark.parametrize("page", ["saccade"] + [f"saccade-{verb}" for verb in VERBS])
def test_man_page_renders_without_warnings(page):
    try:
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-Kutf8", BUILD / "cli" / f"{page}.1"],
                              capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("no groff")
    # groff prints bold as a letter over itself
    assert not done.stderr and b"EXIT STATUS" in re.sub(rb".\x08", b"", done.stdout)


def complete(*words):
    script = f"""
        source {BUILD}/cli/saccade.bash
        COMP_WORDS=({' '.join(f"'{w}'" for w in words)}); COMP_CWORD={len(words) - 1}
        _saccade; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert not done.stderr
    return done.stdout.decode().split()


def test_bash_completion():
    assert complete("saccade", "de") == ["detect", "devices"]
    assert complete("saccade", "detect", "--let") == ["--letterbox"]
    assert complete("saccade", "detect", "--letterbox", "s") == ["stretch"]
    assert complete("saccade", "detect", "--precision", "=", "b") == ["bf16"]
    assert complete("saccade", "devices", "--conf") == []
    everything = complete("saccade", "detect", "--")
    assert {f"--{name}" for name in options_in(run("detect", "--help").out.decode())} <= \
        set(everything) | {"--help", "--version"}


def test_full_stdout():
    for args in (["--version"], ["--help"], ["devices"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, *args], stdout=full, stderr=subprocess.PIPE,
                                  env=environment(), check=False)
        assert done.returncode == 1 and b"standard output: No space left" in done.stderr


def test_control_characters_do_not_reach_the_terminal():
    result = run("\033[31mred")
    assert result.code == 2 and "\033" not in result.err


def test_runs_from_anywhere(tmp_path):
    link = tmp_path / "linked"
    os.symlink(PROGRAM, link)
    done = subprocess.run([link, "--version"], capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
