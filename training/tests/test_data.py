# SPDX-License-Identifier: Apache-2.0
"""Symbols, patches, scenes: what is drawn is a code, and the boxes lie around it."""

import numpy as np
import pytest
import torch
import zxingcpp

from codes import CLASSES, batch, camera, patches, photos, scene, symbols
from codes.geometry import inverse

KIND = {"QRCode": 0, "MicroQRCode": 0, "DataMatrix": 1, "Aztec": 2, "PDF417": 3, "CompactPDF417": 3}


@pytest.mark.parametrize("class_id", range(len(CLASSES)))
def test_symbols_can_be_read_back(class_id):
    rng, read = np.random.default_rng(3), 0
    for _ in range(10):
        dark = np.pad(symbols.symbol(rng, class_id), 10)
        picture = np.kron(np.where(dark, 0, 255).astype(np.uint8), np.ones((4, 4), np.uint8))
        codes = zxingcpp.read_barcodes(picture)
        read += any(KIND.get(str(c.format).replace(" ", ""), 4) == class_id for c in codes)
    assert read >= 7


def test_patches_do_not_depend_on_the_number_of_processes(rendered):
    again = patches.render(60, seed=5, processes=2)
    assert all(np.array_equal(rendered[k], again[k]) for k in rendered)


def test_symbols_lie_inside_their_patches(rendered):
    coded = rendered["classes"] >= 0
    boxes, size = rendered["boxes"][coded], np.repeat(rendered["size"][:, None], 4, 1)[coded]
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= size).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_warp_and_its_inverse_agree(bank):
    spec = scene.layout(bank, scene.Draw("cpu", 0), 16, 200, 640)
    worst = []
    for k in range(scene.LAYERS):
        u, v = inverse(spec["warp"].layer(k), 200)
        at = torch.stack([u, v], -1)[:, None, 100, ::10].clamp(0, 512)
        one = [getattr(spec["warp"], n)[:, k:k + 1] for n in ("size", "matrix", "bend", "wave")]
        back = type(spec["warp"])(*one).forward(at)[:, 0]
        x = (torch.arange(200) + 0.5)[::10].expand(16, -1)
        size = spec["warp"].size[:, k]
        inside = ((at[:, 0] > 1) & (at[:, 0] < size[:, None] - 1)).all(-1)
        worst.append((back[..., 0] - x).abs()[inside])
    worst = torch.cat(worst)
    assert len(worst) > 100 and worst.max() < 0.5


def test_boxes_hold_the_ink_of_their_symbols(bank):
    """The pixels that map back into the symbol span its box, as far as the picture shows them."""
    draw, checked = scene.Draw("cpu", 7), 0
    spec = scene.layout(bank, draw, 24, 240, 640)
    spec["active"][:] = False
    spec["active"][:, 1] = True
    boxes, classes, _ = scene.labels(bank, spec, 240)
    boxes, classes = boxes.flatten(1, 2), classes.flatten(1, 2)
    for i in range(24):
        shown = torch.nonzero(classes[i] >= 0)[:, 0]
        if len(shown) != 1 or (boxes[i, shown[0]] < 2).any() or (boxes[i, shown[0]] > 238).any():
            continue
        u, v = inverse(spec["warp"].layer(1), 240)
        x0, y0, x1, y1 = bank.boxes[spec["ids"][i, 1], 0].tolist()
        ys, xs = torch.nonzero((u[i] > x0) & (u[i] < x1) & (v[i] > y0) & (v[i] < y1), as_tuple=True)
        got = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()
        margin = ((240 - spec["content"][i]) / 2).repeat(2)
        got = torch.minimum(torch.maximum(got, margin), 240 - margin)
        assert (got - boxes[i, shown[0]]).abs().max() < 3
        checked += 1
    assert checked >= 3


def test_camera_keeps_range_and_size():
    x = camera.photograph(scene.Draw("cpu", 1), torch.rand(6, 3, 64, 64))
    assert x.shape == (6, 3, 64, 64) and x.min() >= 0 and x.max() <= 1 and x.isfinite().all()


def test_enlarging_equals_opencv():
    import cv2
    x = (torch.rand(1, 3, 48, 48) * 255).round()
    big, _ = batch.enlarge(x / 255, torch.zeros(1, 1, 4), torch.tensor([[48.0, 48.0]]), 160)
    want = cv2.resize(x[0].permute(1, 2, 0).numpy(), (160, 160), interpolation=cv2.INTER_LINEAR)
    assert np.abs(big[0].permute(1, 2, 0).numpy() * 255 - want).max() < 0.01


def test_mosaic_moves_boxes_with_their_pictures():
    picture = torch.zeros(4, 3, 64, 64)
    picture[:, :, 16:32, 8:40] = 1
    boxes = torch.tensor([8.0, 16, 40, 32]).repeat(4, 1, 1)
    big, moved, classes = batch.mosaic(picture, boxes, torch.zeros(4, 1, dtype=torch.int64))
    assert classes.shape == (1, 4)
    for x0, y0, x1, y1 in moved[0].long().tolist():
        assert big[0, :, y0:y1, x0:x1].min() == 1
    assert big.sum() == 3 * 4 * 16 * 8


def test_seeded_pools_are_equal(bank):
    def first():
        pool = batch.Pool(bank, scene.Draw("cpu", 4), scene.Composer(), 64, 8, 4, 16, mosaics=0.25)
        return pool.next()
    one, two = first(), first()
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert one[0].shape == (8, 3, 64, 64)


def test_without_mosaics_a_batch_has_as_many_pictures(bank):
    pool = batch.Pool(bank, scene.Draw("cpu", 4), scene.Composer(), 64, 8, 4, 16, mosaics=0.25)
    pool.mosaics = 0.0
    picture, boxes, classes = pool.next()
    assert picture.shape == (8, 3, 64, 64) and boxes.shape[:2] == classes.shape == (8, batch.MAX_BOXES)


def test_clean_pictures_are_as_drawn(bank):
    compose = scene.Composer()
    shot, clean = (batch.scenes(bank, scene.Draw("cpu", 9), 8, 64, 640, compose, c)[0] for c in (0.0, 1.0))
    draw = scene.Draw("cpu", 9)
    spec = scene.layout(bank, draw, 8, 64, 640)
    draw.chance(1.0, 8)
    scene.on_paper(spec, draw.chance(0.5, 8))
    assert torch.equal(clean, compose(bank, spec, 64).clamp(0, 1)) and not torch.equal(clean, shot)


def test_a_code_on_paper_has_its_own_paper_around_it(bank):
    spec, compose = scene.layout(bank, scene.Draw("cpu", 9), 8, 64, 640), scene.Composer()
    spec["active"][:] = False
    spec["active"][:, 1] = True
    chosen = torch.arange(8) < 4
    before = compose(bank, spec, 64)
    scene.on_paper(spec, chosen)
    after = compose(bank, spec, 64)
    assert torch.equal(after[4:], before[4:])
    spec["active"][:] = False
    paper = spec["colours"][:4, 1, 0, :, None, None].expand(-1, -1, 64, 64)
    assert torch.allclose(compose(bank, spec, 64)[:4], paper)


def test_no_pdf417_is_a_mere_line():
    rng = np.random.default_rng(11)
    shapes = [symbols.symbol(rng, CLASSES.index("pdf417")).shape for _ in range(60)]
    assert max(w / h for h, w in shapes) <= symbols.THINNEST


def test_large_codes_of_few_modules_are_common(bank):
    """At least one picture in eight is one code over half of its shorter side, few modules each."""
    spec = scene.layout(bank, scene.Draw("cpu", 3), 400, 240, 1280)
    boxes, classes, _ = scene.labels(bank, spec, 240)
    side = (boxes[..., 2:] - boxes[..., :2]).amax(-1) / spec["content"].amin(1)[:, None, None]
    few = torch.isin(spec["ids"], bank.few)[:, :, None]
    assert ((side > 0.5) & (classes >= 0) & few).flatten(1).any(1).float().mean() > 0.125
    for c in range(len(CLASSES)):
        mine, all_of = (ids[bank.classes[ids, 0] == c] for ids in (bank.few, bank.bare))
        assert 0 < len(mine) <= max(len(all_of) // 3, 1)
        assert bank.modules[mine, 0].max() <= bank.modules[all_of, 0].median()


def test_train_and_test_photographs_differ():
    assert not set(photos.TRAIN) & set(photos.TEST)
