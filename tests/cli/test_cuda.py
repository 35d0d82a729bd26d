# SPDX-License-Identifier: Apache-2.0
"""The command line on the emulated CUDA backend beside the processor's: the same boxes, the choice
between the two, and what is said where something is missing. (test_gpu.py: the verbs themselves.)"""
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import BUILD, Spec, boxes, detect, model_path, picture, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = BUILD / "lib" / "emulated" / "libsaccade-cuda.so"
pytestmark = pytest.mark.skipif(not PLUGIN.exists(), reason="the CUDA backend is not emulated")
FAMILIES = ("v5n", "v8n", "11n")


@pytest.fixture(scope="module")
def cuda():
    """Environment in which the CUDA backend is the emulated one, the only one there is."""
    return {"SACCADE_PLUGINS": str(PLUGIN.parent), "SACCADE_TUNE_SECONDS": "0"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same, with the processor's backend beside it."""
    folder = tmp_path_factory.mktemp("both") / "plugins"
    folder.mkdir()
    for plugin in (PLUGIN, BUILD / "lib" / "libsaccade-openvino.so"):
        os.symlink(plugin, folder / plugin.name)
    emulator = BUILD / "lib" / "libcuda_emulator.so"  # which the plugin looks for beside its folder
    os.symlink(emulator, folder.parent / emulator.name)
    return {"SACCADE_PLUGINS": str(folder), "SACCADE_TUNE_SECONDS": "0"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return [picture(folder / f"{k}.png", 150 + 40 * k, 130 - 20 * k, seed=k) for k in range(3)]


def model(arch, **options):
    return model_path(Spec(arch, (64, 64), 3, **options))


def match(got, wanted, pixels, score):
    """Every box of each has its like in the other, or is one at the threshold."""
    def found(one, others):
        return any(a["class_id"] == one["class_id"] and abs(a["score"] - one["score"]) <= score and
                   max(abs(p - q) for p, q in zip(a["box"], one["box"])) <= pixels for a in others)
    assert any(wanted), "nothing to compare"
    for ours, theirs in zip(got, wanted, strict=True):
        for one, others in [(b, theirs) for b in ours] + [(b, ours) for b in theirs]:
            assert found(one, others) or one["score"] < 0.1 + score, one


@pytest.mark.parametrize("arch", FAMILIES)
def test_boxes_are_those_of_the_processor(arch, cuda, pictures):
    options = ["--conf", "0.1", "--precision", "fp32", "--no-cache", "--json", "-"]
    wanted = detect(model(arch), *pictures, *options, "--device", "cpu")
    got = detect(model(arch), *pictures, *options, "--device", "cuda", env=cuda)
    assert (wanted.code, got.code) == (0, 0), got.err
    match(boxes(got), boxes(wanted), pixels=0.05, score=1e-4)


def test_auto_takes_the_gpu_where_there_is_one(both, pictures):
    for gpu, backend in (("9.0", "cuda"), ("none", "openvino"), ("no-driver", "openvino"),
                         ("7.5", "openvino")):
        result = run("inspect", model("v5n"), "--json", env={**both, "SACCADE_EMULATOR_GPU": gpu})
        assert result.code == 0, result.err
        assert f'"{backend}"' in result.out.decode(), gpu


def test_auto_takes_the_processor_for_what_the_gpu_does_not_run(both, pictures, tmp_path):
    subprocess.run([sys.executable, ROOT / "tests" / "cuda" / "models.py", tmp_path], check=True)
    path = tmp_path / "tiny-unknown.onnx"
    result = detect(path, pictures[0], "--json", "-", env=both)
    assert result.code == 0 and "device auto: cpu, since" in result.err, result.err
    result = detect(path, pictures[0], "--device", "cuda", "--json", "-", env=both)
    assert result.code == 4 and "CUDA engine" in result.err, result.err


@pytest.mark.parametrize("options, gpu, code, words", [
    (["--device", "cuda", "--precision", "bf16"], "9.0", 4, "bf16"),
    (["--device", "cuda"], "none", 5, "sees no GPU"),
    (["--device", "cuda"], "no-driver", 5, "no NVIDIA driver"),
    (["--device", "cuda"], "7.5", 5, "capability 7.5"),
])
def test_refusals_say_why(options, gpu, code, words, cuda, pictures):
    result = detect(model("v5n"), pictures[0], *options, "--json", "-",
                    env={**cuda, "SACCADE_EMULATOR_GPU": gpu})
    assert (result.code, result.out) == (code, b"") and words in result.err, result.err


def test_a_gpu_without_memory_is_an_error(cuda, pictures):
    result = detect(model("v5n"), pictures[0], "--device", "cuda", "--json", "-",
                    env={**cuda, "SACCADE_EMULATOR_MEMORY": "3000000"})
    assert result.code == 1 and "bytes" in result.err and "memory" in result.err, result.err
