# SPDX-License-Identifier: Apache-2.0
"""Trains one model for a given time: python -m codes.train --shape n6 --seconds 900 ...

A stage is SIZE:BATCH:SHARE, e.g. 640:128:0.7 1280:32:0.3: the side of the square input, pictures a
step and GPU, and the share of the whole time. Under torchrun every GPU makes its own pictures and
the gradients are averaged.

Stopped by SIGTERM, it saves first.
"""

import argparse
import copy
import json
import math
import os
import pathlib
import signal
import sys
import time

import numpy as np
import torch
import torch.distributed as dist

from . import photos, scene
from .batch import Pool
from .model import Yolo
from .step import Step
from .validate import Validation


def parse():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--shape", choices=("n", "n6"), default="n6")
    p.add_argument("--patches", default="build/patches.npz", help="written by codes.data")
    p.add_argument("--out", default="build/n6", help="folder of checkpoints and log")
    p.add_argument("--seconds", type=float, default=900, help="whole training time, resumed parts included")
    p.add_argument("--stages", nargs="+", default=["640:128:0.65", "1280:32:0.35"])
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--weight-decay", type=float, default=0.02)
    p.add_argument("--fresh", type=float, default=0.3, help="new pictures a step as a share of the batch")
    p.add_argument("--pool", type=int, default=40, help="pictures kept, in batches")
    p.add_argument("--save-every", type=float, default=30, help="seconds between checkpoints")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--init", help="ema.pt of an earlier run to start from")
    p.add_argument("--until", type=float, default=0,
                   help="clock (seconds since 1970) at which training ends if --seconds would be later")
    p.add_argument("--hold", type=int, default=0, help="keep the stem and so many stages as they are")
    p.add_argument("--ema", type=float, default=0.9995, help="decay of the averaged weights")
    p.add_argument("--gains", type=float, nargs=3, default=(1.0, 1.0, 1.0),
                   help="further weights of the losses of boxes, objectness and classes")
    p.add_argument("--shares", type=float, nargs="+", default=(1.0,) * 4,
                   help="weight of each level's boxes and classes, finest first")
    p.add_argument("--power", type=float, default=1.0, help="of the IoU in the boxes' loss")
    p.add_argument("--clean", type=float, default=0.0, help="share of new pictures that no camera took")
    p.add_argument("--calm", type=float, default=0.0, help="last share of the time, without mosaics")
    p.add_argument("--validate", type=int, default=0,
                   help="pictures a GPU on which mAP is measured now and then")
    p.add_argument("--warm", type=int, default=300, help="steps until the learning rate is full")
    p.add_argument("--compile", choices=("none", "scenes", "all"), default="none")
    p.add_argument("--eager", action="store_true",
                   help="launch the kernels of a step one by one on a GPU, too")
    return p.parse_args()


def floats(net):
    return [v for v in net.state_dict().values() if v.dtype.is_floating_point]


class Ema:
    """Running mean of the weights and buffers of one network: the model that is kept."""

    def __init__(self, net, decay=0.9995):
        self.net, self.decay, self.steps = copy.deepcopy(net).eval(), decay, 0
        self.mine, self.theirs = floats(self.net), None

    @torch.no_grad()
    def update(self, net):
        self.steps += 1
        d = self.decay * (1 - math.exp(-self.steps * (1 - self.decay) * 2))
        self.theirs = self.theirs or floats(net)
        torch._foreach_lerp_(self.mine, self.theirs, 1 - d)


def optimizer(net, lr, weight_decay):
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": weight_decay},
                              {"params": plain, "weight_decay": 0.0}], lr=lr, betas=(0.9, 0.99),
                             fused=True)


def share_gradients(net, world):
    if world == 1:
        return
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    flat = torch._utils._flatten_dense_tensors(grads)
    dist.all_reduce(flat)
    flat /= world
    torch._foreach_copy_(grads, list(torch._utils._unflatten_dense_tensors(flat, grads)))


def hold(net, count):
    """Keeps the stem and the first count stages as they are, their batch norms' statistics too."""
    for part in (net.stem, *net.down[:count], *net.stage[:count]):
        part.eval().requires_grad_(False)


def see_one_gpu(env):
    """Of several processes each sees its own GPU alone, as number 0: what was compiled is kept by number."""
    if int(env.get("WORLD_SIZE", 1)) > 1:
        seen, local = env.get("CUDA_VISIBLE_DEVICES"), int(env["LOCAL_RANK"])
        env["CUDA_VISIBLE_DEVICES"] = str(local) if seen is None else (seen.split(",") + [""] * local)[local]


def stages(specs):
    """[(size, batch, end of its share of the time)]"""
    parsed = [(int(a), int(b), float(c)) for a, b, c in (s.split(":") for s in specs)]
    total, ends = sum(s[2] for s in parsed), 0.0
    out = []
    for size, batch, share in parsed:
        ends += share / total
        out.append((size, batch, ends))
    return out


class Trainer:
    def __init__(self, args):
        self.args = args
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        see_one_gpu(os.environ)
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda:0" if cuda else "cpu")
        if cuda:
            torch.cuda.set_device(self.device)
            torch.backends.cudnn.benchmark = True
            torch.set_float32_matmul_precision("high")
        if self.world > 1:
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        torch.manual_seed(args.seed)
        self.net = Yolo(args.shape).to(self.device, memory_format=torch.channels_last)
        self.ema = Ema(self.net, args.ema)
        if args.hold:
            hold(self.net, args.hold)
        self.opt = optimizer(self.net, args.lr, args.weight_decay)
        self.step, self.spent, self.seconds = 0, 0.0, args.seconds
        self.out = pathlib.Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.resume()
        draw = scene.Draw(self.device, args.seed * 1000 + self.rank + 17 * self.step)
        rendered = dict(np.load(args.patches))
        self.bank, self.draw = scene.Bank(rendered, photos.load(), self.device), draw
        self.forward = torch.compile(self.net, dynamic=False) if args.compile == "all" else self.net
        self.compose = scene.Composer(args.compile != "none")
        self.stopped = False
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def stop(self, *_):
        self.stopped = True  # after the steps under way: a process that left at once would hang the others

    def resume(self):
        path = self.out / "last.pt"
        if not path.exists() and self.args.init:
            saved = torch.load(self.args.init, map_location=self.device, weights_only=True)["ema"]
            self.net.load_state_dict(saved)
            self.ema.net.load_state_dict(saved)
        if not path.exists():
            return
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(saved["net"])
        self.ema.net.load_state_dict(saved["ema"])
        self.opt.load_state_dict(saved["opt"])
        self.step, self.spent, self.ema.steps = saved["step"], saved["spent"], saved["step"]

    def save(self):
        if self.rank:
            return
        state = {"net": self.net.state_dict(), "ema": self.ema.net.state_dict(),
                 "opt": self.opt.state_dict(), "step": self.step, "spent": self.spent}
        torch.save(state, self.out / "last.tmp")
        os.replace(self.out / "last.tmp", self.out / "last.pt")
        half = {k: v.half() if v.dtype.is_floating_point else v for k, v in state["ema"].items()}
        torch.save({"shape": self.args.shape, "ema": half, "step": self.step}, self.out / "ema.tmp")
        os.replace(self.out / "ema.tmp", self.out / "ema.pt")

    def rate(self, progress):
        warm = min(1.0, (self.step + 1) / self.args.warm)
        return self.args.lr * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * min(progress, 1))) / 2)

    def train_step(self, pool, learn, progress):
        for group in self.opt.param_groups:
            group["lr"] = self.rate(progress)
        parts = learn(*pool.next(torch.bfloat16))
        share_gradients(self.net, self.world)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.opt.step()
        self.ema.update(self.net)
        self.step += 1
        return parts

    def agree(self, value):
        """The first process' clock, for all, without a look at the GPU."""
        if self.world == 1:
            return value
        t = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(t, 0)
        return float(t)

    def make_pool(self, size, batch):
        args = self.args
        return Pool(self.bank, self.draw, self.compose, size, batch, max(int(batch * args.fresh), 1),
                    batch * args.pool, clean=args.clean, seed=args.seed + self.step, at_once=batch)

    def make_validation(self, size):
        if not self.args.validate:
            return None
        draw = scene.Draw(self.device, 770_000 + self.rank)
        return Validation(self.bank, draw, self.compose, size, self.args.validate)

    def run_stage(self, size, batch, end):
        args = self.args
        validation, pool = self.make_validation(size), self.make_pool(size, batch)
        self.validate(validation)
        if args.until:
            left = self.agree(args.until - time.time())
            self.seconds = min(args.seconds, self.spent + max(left, 0.0))
        learn = Step(self.net, self.forward, size, self.device.type == "cuda" and not args.eager,
                     gains=args.gains, shares=args.shares, power=args.power)
        signal.signal(signal.SIGTERM, self.stop)
        mean, count, seen_at, saved_at = 0.0, 0, time.time(), time.time()
        while self.spent < end * self.seconds:
            start, progress = time.time(), self.spent / self.seconds
            if progress >= 1 - args.calm:
                pool.mosaics = 0.0
            for _ in range(20):
                mean = mean + self.train_step(pool, learn, progress)
                count += 1
            self.spent = self.agree(self.spent + time.time() - start)
            if self.agree(self.stopped):
                sys.exit(143)
            if time.time() - seen_at > 10 and self.rank == 0:
                self.report(size, batch, mean / count, count / (time.time() - seen_at))
                mean, count, seen_at = 0.0, 0, time.time()
            if self.agree(time.time() - saved_at) > args.save_every:
                start, saved_at = time.time(), time.time()
                self.save()
                self.validate(validation)
                self.spent = self.agree(self.spent + time.time() - start)
                seen_at += time.time() - start
        self.save()
        self.validate(validation)

    def validate(self, validation):
        if validation:
            self.log({"step": self.step, "spent": round(self.spent, 1)}
                     | validation.measure(self.ema.net, self.world))

    def log(self, line):
        if self.rank == 0:
            with open(self.out / "log.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            print(self.args.shape, line, flush=True)

    def report(self, size, batch, parts, steps_a_second):
        line = {"step": self.step, "spent": round(self.spent, 1), "size": size,
                "pictures_a_second": round(steps_a_second * batch * self.world),
                "ms_a_step": round(1000 / steps_a_second), "lr": self.opt.param_groups[0]["lr"],
                "box": round(float(parts[0]), 4), "obj": round(float(parts[1]), 5),
                "cls": round(float(parts[2]), 4)}
        self.log(line)

    def run(self):
        try:
            for size, batch, end in stages(self.args.stages):
                if self.spent < end * self.seconds:
                    self.run_stage(size, batch, end)
        finally:
            self.save()
        if self.world > 1:
            dist.destroy_process_group()


if __name__ == "__main__":
    Trainer(parse()).run()
