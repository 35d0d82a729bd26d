# SPDX-License-Identifier: Apache-2.0
"""Training batches: scenes on small and large canvases, enlarged as letterboxing does, and mosaics."""

import torch
import torch.nn.functional as F

from . import camera, scene, visible
from .constants import constant

PAD = 114 / 255
MAX_BOXES = 20
SMALLEST = 10.0  # boxes with both sides under this many final pixels are not asked for
# canvas as a share of the final size, and how often: small ones are low-resolution pictures
CANVASES = {640: ((0.3125, 0.375, 0.5, 0.75, 1.0), (0.14, 0.16, 0.22, 0.22, 0.26)),
            1280: ((0.1, 0.1375, 0.1875, 0.25, 0.375, 0.5, 0.75, 1.0),
                   (0.11, 0.09, 0.13, 0.12, 0.15, 0.15, 0.12, 0.13))}


def canvas_sizes(final):
    shares, weights = CANVASES[1280 if final > 960 else 640]
    return [round(s * final / 16) * 16 for s in shares], weights


@torch.no_grad()
def scenes(bank, draw, b, canvas, final, compose, clean=0.0):
    """b photographed scenes: pictures (b,3,canvas,canvas), boxes, classes, content sizes, and which
    pictures hold no code that fails the rule of visible.py. clean: share that no camera took, half of
    these on nothing but paper."""
    spec = scene.layout(bank, draw, b, canvas, final)
    no_camera = draw.chance(clean, b) if clean else None
    if clean:
        scene.on_paper(spec, no_camera & draw.chance(0.5, b))
    boxes, classes, shown = scene.labels(bank, spec, canvas)
    drawn = compose(bank, spec, canvas)
    picture = camera.photograph(draw, drawn)
    if clean:
        picture = torch.where(no_camera.view(b, 1, 1, 1), drawn.clamp(0, 1), picture)
    meets = visible.countable(bank, spec, picture, boxes, shown, final / canvas)
    good = (meets | (classes < 0)).flatten(1).all(1)
    return picture, boxes.flatten(1, 2), classes.flatten(1, 2), spec["content"], good


def enlarge(picture, boxes, content, final):
    """Canvas to final pixels, bilinear without smoothing as cv2's INTER_LINEAR; border 114."""
    canvas = picture.shape[-1]
    grow = final / canvas
    if canvas != final:
        picture = F.interpolate(picture, size=(final, final), mode="bilinear", align_corners=False)
    at = (torch.arange(final, device=picture.device) + 0.5 - final / 2).abs()
    inside = (at[None, None, :] < content[:, 0].view(-1, 1, 1) * grow / 2) & \
             (at[None, :, None] < content[:, 1].view(-1, 1, 1) * grow / 2)
    return torch.where(inside[:, None], picture, PAD), boxes * grow


def mosaic(picture, boxes, classes):
    """Four pictures, halved, in one; as many mosaics as a quarter of the pictures given."""
    n, side = picture.shape[0] // 4, picture.shape[-1]
    half = F.avg_pool2d(picture, 2)
    shift = constant(((0, 0), (0, 1), (1, 0), (1, 1)), picture.device) * (side // 2)
    rows = [torch.cat([half[i * n:(i + 1) * n] for i in pair], 3) for pair in ((0, 1), (2, 3))]
    moved = [boxes[i * n:(i + 1) * n] / 2 + shift[i].flip(0).repeat(2) for i in range(4)]
    return (torch.cat(rows, 2), torch.cat(moved, 1),
            torch.cat([classes[i * n:(i + 1) * n] for i in range(4)], 1))


def pack(boxes, classes):
    """The MAX_BOXES largest boxes, first: boxes (B,M,4), classes (B,M), -1 for none."""
    side = (boxes[..., 2:] - boxes[..., :2]).amax(-1)
    classes = torch.where(side >= SMALLEST, classes, -1)
    order = torch.where(classes >= 0, side, -1.0).topk(MAX_BOXES, 1).indices
    return boxes.gather(1, order[..., None].expand(-1, -1, 4)), classes.gather(1, order)


class Pool:
    """A store of finished pictures on the device, renewed a little with every batch taken.

    With every batch `fresh` scenes fall due, so that each is seen about batch / fresh times. They are
    drawn `at_once` together on one canvas, since a call costs the CPU the same for many as for few; the
    store mixes canvases. A picture with a code that nobody could find is not stored: the older one
    stays in its place. Pools of one seed draw canvases in one order, so that no GPU waits for
    another's large one. mosaics: share of a batch; clean: as of scenes.
    """

    def __init__(self, bank, draw, compose, final, batch, fresh, capacity, mosaics=0.1, clean=0.0, seed=0,
                 at_once=0):
        self.bank, self.draw, self.final, self.batch, self.fresh = bank, draw, final, batch, fresh
        self.compose, self.mosaics, self.clean = compose, mosaics, clean
        self.host = torch.Generator().manual_seed(seed)
        self.at_once, self.due, self.slot = at_once or fresh, 0, 0
        capacity = capacity // self.at_once * self.at_once
        self.pictures = torch.zeros(capacity, 3, final, final, dtype=torch.uint8, device=bank.device)
        self.boxes = torch.zeros(capacity, MAX_BOXES, 4, device=bank.device)
        self.classes = torch.full((capacity, MAX_BOXES), -1, device=bank.device)
        self.renew()
        while self.slot:
            self.renew()

    @torch.no_grad()
    def renew(self):
        sizes, weights = canvas_sizes(self.final)
        canvas = sizes[int(torch.multinomial(torch.tensor(weights), 1, generator=self.host))]
        picture, boxes, classes, content, good = scenes(self.bank, self.draw, self.at_once, canvas,
                                                        self.final, self.compose, self.clean)
        picture, boxes = enlarge(picture, boxes, content, self.final)
        here = slice(self.slot, self.slot + self.at_once)
        new = ((picture * 255 + 0.5).byte(), *pack(boxes, classes))
        for store, fresh in zip((self.pictures, self.boxes, self.classes), new, strict=True):
            keep = good.view(-1, *[1] * (fresh.ndim - 1))
            store[here] = torch.where(keep, fresh, store[here])
        self.slot = here.stop % len(self.pictures)

    @torch.no_grad()
    def next(self, dtype=torch.float32):
        """Pictures (B,3,S,S) in 0..1, channels last, boxes (B,M,4) in pixels, classes (B,M)."""
        self.due += self.fresh
        while self.due >= self.at_once:
            self.due -= self.at_once
            self.renew()
        n = int(self.batch * self.mosaics) * 4
        chosen = torch.randperm(len(self.pictures), device=self.bank.device,
                                generator=self.draw.generator)[:self.batch - n // 4 + n]
        picture = self.pictures[chosen].to(dtype, memory_format=torch.channels_last) / 255
        boxes, classes = self.boxes[chosen], self.classes[chosen]
        if not n:
            return picture, boxes, classes
        tiles = mosaic(picture[-n:], boxes[-n:], classes[-n:])
        tiles = (tiles[0], *pack(*tiles[1:]))
        return tuple(torch.cat([whole[:-n], tile]) for whole, tile in
                     zip((picture, boxes, classes), tiles, strict=True))
