# SPDX-License-Identifier: Apache-2.0
"""The trainer: one process, two processes, stopped early, gone on with."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from codes.train import see_one_gpu
from codes.validate import Validation

ROOT = pathlib.Path(__file__).parents[1]
SMALL = ("--shape n6 --stages 128:2:1 --pool 2 --lr 1e-3 --warm 5 --hold 1 --gains 4 2 0.5 "
         "--shares 0.5 1 1.25 1.25 --calm 0.5 --clean 0.5")


@pytest.fixture
def patches_file(tmp_path, rendered):
    np.savez(tmp_path / "patches.npz", **rendered)
    return tmp_path / "patches.npz"


def start(patches_file, out, *more, processes=1):
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "29731"]
    command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "codes.train", *SMALL.split(),
               "--patches", str(patches_file), "--out", str(out), *more]
    env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, cwd=ROOT, env=env)


def lines(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_go_on_from_a_checkpoint(tmp_path, patches_file):
    init = ROOT / "checkpoints" / "codes-n6.pt"
    more = "--init", str(init), "--seconds", "1", "--validate", "2"
    assert start(patches_file, tmp_path / "two", *more, processes=2).wait(300) == 0
    saved = torch.load(tmp_path / "two" / "ema.pt", weights_only=True)
    before = torch.load(init, map_location="cpu", weights_only=True)["ema"]
    assert saved["shape"] == "n6" and all(v.isfinite().all() for v in saved["ema"].values())
    assert torch.equal(saved["ema"]["stem.conv.weight"], before["stem.conv.weight"])
    assert not torch.equal(saved["ema"]["head.0.weight"], before["head.0.weight"])
    assert "mAP50-95" in lines(tmp_path / "two")[-1]


def test_training_ends_when_the_clock_says_so(tmp_path, patches_file):
    assert start(patches_file, tmp_path, "--seconds", "1000", "--until", str(time.time() + 1)).wait(300) == 0
    assert torch.load(tmp_path / "ema.pt", weights_only=True)["step"] <= 20


def test_a_stopped_run_has_saved_and_goes_on(tmp_path, patches_file):
    out = tmp_path / "one"
    run = start(patches_file, out, "--seconds", "1000", "--save-every", "1")
    for _ in range(600):
        if (out / "last.pt").exists():
            break
        time.sleep(0.5)
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 143
    first = torch.load(out / "ema.pt", weights_only=True)["step"]
    assert first > 0
    spent = torch.load(out / "last.pt", weights_only=True)["spent"]
    assert start(patches_file, out, "--seconds", str(spent + 0.1)).wait(300) == 0
    assert torch.load(out / "ema.pt", weights_only=True)["step"] > first


@pytest.mark.parametrize(("env", "seen"), [
    ({}, None), ({"CUDA_VISIBLE_DEVICES": "3"}, "3"), ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "1"),
    ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,7"}, "7"),
    ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": ""}, "")])
def test_each_of_several_processes_sees_one_gpu(env, seen):
    see_one_gpu(env)
    assert env.get("CUDA_VISIBLE_DEVICES") == seen


def test_validation_finds_what_is_there(bank):
    from codes import scene
    validation = Validation(bank, scene.Draw("cpu", 2), scene.Composer(), 128, 6)
    validation.found = lambda _, some: [(b, np.ones(len(b)), c) for b, c in validation.truth[some]]
    assert validation.measure(None) == {"mAP50-95": 1.0, "mAP50": 1.0, "mAP75": 1.0}
    validation.found = lambda _, some: [(b[:0], np.ones(0), c[:0]) for b, c in validation.truth[some]]
    assert validation.measure(None)["mAP50-95"] == 0
