# SPDX-License-Identifier: Apache-2.0
"""The rule by which a code counts: what is taken from a picture must show in the figure."""

import pytest
import torch
import torch.nn.functional as F

from codes import batch, scene, visible

CANVAS = 256


@pytest.fixture(scope="module")
def shown(bank):
    """Flat, well-lit scenes of one symbol each, wholly inside: spec, picture, boxes, part shown."""
    draw = scene.Draw("cpu", 21)
    spec = scene.layout(bank, draw, 40, CANVAS, 1280)
    spec["active"][:] = False
    spec["active"][:, 1] = True
    paper, ink = torch.ones(40, scene.LAYERS, 3), torch.full((40, scene.LAYERS, 3), 0.1)
    spec["colours"] = torch.stack([paper, ink, ink], 2)
    boxes, classes, part = scene.labels(bank, spec, CANVAS)
    picture = scene.Composer()(bank, spec, CANVAS)
    one = (classes[:, 1, 0] >= 0) & (classes[:, 1, 1] < 0) & (part[:, 1, 0] > 0.99)
    large = (boxes[:, 1, 0, 2:] - boxes[:, 1, 0, :2]).amax(-1) > 2 * bank.modules[spec["ids"][:, 1], 0]
    rows = (one & large).nonzero()[:, 0]
    assert len(rows) >= 8
    return spec, picture, boxes, part, rows


def share(bank, shown, picture):
    return visible.seen_share(bank, shown[0], picture)[shown[4], 1, 0]


def test_a_clean_code_is_seen(bank, shown):
    assert share(bank, shown, shown[1]).min() > 0.8


def test_an_inverse_code_is_seen_as_well(bank, shown):
    assert torch.allclose(share(bank, shown, 1 - shown[1]), share(bank, shown, shown[1]), atol=0.05)


@pytest.mark.parametrize("harm", ["contrast", "noise", "blur", "glare"])
def test_harm_hides_it(bank, shown, harm):
    picture, noise = shown[1], torch.randn(shown[1].shape, generator=torch.Generator().manual_seed(1))
    harmed = {"contrast": 0.5 + (picture - 0.5) * 0.02, "noise": picture + 3 * noise,
              "blur": F.interpolate(F.avg_pool2d(picture, 32), scale_factor=32), "glare": picture + 1}
    assert share(bank, shown, harmed[harm].clamp(0, 1)).max() < visible.SHARE


def test_a_covered_half_is_measured_as_a_half(bank, shown):
    spec, picture, boxes, _, rows = shown
    middle = (boxes[:, 1, 0, 0] + boxes[:, 1, 0, 2]) / 2
    right = torch.arange(CANVAS) > middle[:, None]
    covered = torch.where(right[:, None, None, :], 0.5, picture)
    got = share(bank, shown, covered)[spec["warp"].bend[rows, 1].amax(-1) < 0.1]
    assert len(got) and 0.25 < got.min() and got.max() < 0.75


def test_what_lies_outside_the_content_is_not_seen(bank, shown):
    spec = dict(shown[0])
    spec["content"] = torch.full_like(spec["content"], 2.0)
    assert visible.seen_share(bank, spec, shown[1])[shown[4], 1, 0].max() < 0.1


def test_small_and_cut_ones_do_not_count(bank, shown):
    spec, picture, boxes, part, rows = shown

    def counts(part, grow):
        return visible.countable(bank, spec, picture, boxes, part, grow)[rows, 1, 0]
    assert counts(part, 5.0).all()
    assert not counts(part, 0.01).any()
    assert not counts(part * 0.4, 5.0).any()


def test_refused_pictures_never_reach_the_pool(bank, monkeypatch):
    monkeypatch.setattr(visible, "countable", lambda b, s, p, boxes, *_: boxes[..., 0] != boxes[..., 0])
    pool = batch.Pool(bank, scene.Draw("cpu", 4), scene.Composer(), 64, 8, 4, 16, mosaics=0)
    assert (pool.classes < 0).all() and len(pool.next()[0]) == 8
