# SPDX-License-Identifier: Apache-2.0
"""Draws the patches that training composes its pictures of: python -m codes.data --count 20000."""

import argparse
import pathlib
import time

import numpy as np

from . import patches


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--count", type=int, default=20000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--out", default="build/patches.npz")
    args = p.parse_args()
    start = time.time()
    pathlib.Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.out, **patches.render(args.count, args.seed))
    print(f"{args.count} patches in {time.time() - start:.1f} s: {args.out}")


if __name__ == "__main__":
    main()
