# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest
import torch

torch.set_num_threads(1)  # the tensors are small
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def rendered():
    from codes import patches
    return patches.render(60, seed=5, processes=1)


@pytest.fixture(scope="session")
def bank(rendered):
    from codes import photos, scene
    return scene.Bank(rendered, photos.load(), "cpu")
