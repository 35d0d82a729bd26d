# SPDX-License-Identifier: Apache-2.0
"""Background photographs from scikit-image's data, each CC0 or in the public domain.

Train: astronaut (NASA, public domain), camera (Lav Varshney, CC0), chelsea (Stefan van der Walt, CC0),
grass (linolafett, DeviantArt, CC0), gravel (CC0Textures Gravel04, CC0), retina (Mikael Haggstrom, CC0).
Test: coffee (Rachel Michetti, CC0), rocket (SpaceX, public domain), brick (CC0Textures Bricks25, CC0),
hubble_deep_field (NASA, public domain), clock (Stefan van der Walt, public domain).
"""

import cv2
import numpy as np
import skimage.data

TRAIN = ("astronaut", "camera", "chelsea", "grass", "gravel", "retina")
TEST = ("coffee", "rocket", "brick", "hubble_deep_field", "clock")
SIZE = 512


def load(test=False):
    """The photographs as (N, SIZE, SIZE, 3) uint8, RGB, middle square of each."""
    out = []
    for name in TEST if test else TRAIN:
        picture = getattr(skimage.data, name)()
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, 2)
        h, w = picture.shape[:2]
        side = min(h, w)
        y, x = (h - side) // 2, (w - side) // 2
        out.append(cv2.resize(picture[y:y + side, x:x + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    return np.stack(out)
