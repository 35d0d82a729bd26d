# SPDX-License-Identifier: Apache-2.0
"""Lets every test folder import saccade.py, and makes random tests repeatable: SACCADE_SEED."""
import os
import secrets
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
SEED = int(os.environ.get("SACCADE_SEED", 0)) or secrets.randbits(31)


def pytest_report_header():
    return f"random tests: SACCADE_SEED={SEED}"


@pytest.fixture
def rng(request):
    """A generator of its own for each test; the seed is in a failing test's captured output."""
    print(f"SACCADE_SEED={SEED}")
    name = sum(ord(ch) * (i + 1) for i, ch in enumerate(request.node.name))
    return np.random.default_rng([SEED, name])
