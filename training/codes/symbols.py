# SPDX-License-Identifier: Apache-2.0
"""Random symbols of all five classes as bitmaps of one pixel a module, from zxing-cpp's encoder."""

import string

import numpy as np
import zxingcpp

from . import CLASSES

FORMAT = zxingcpp.BarcodeFormat
THINNEST = 8  # PDF417 of few rows is drawn again: encoders aim at about 3 to 1
LINEAR = ("EAN13", "EAN13", "EAN13", "UPCA", "UPCA", "EAN8", "UPCE", "UPCE", "Code128", "Code128", "Code39",
          "Code93", "ITF", "ITF14", "Codabar", "DataBarOmni", "DataBarLtd", "DataBarExp",
          "DataBarStkOmni", "DataBarExpStk")
DIGITS = {"EAN13": 12, "EAN8": 7, "UPCA": 11, "UPCE": 7, "ITF14": 13, "DataBarOmni": 13,
          "DataBarLtd": 13, "DataBarStkOmni": 13}
LETTERS = string.ascii_letters + string.digits + " -./:"


def digits(rng, n):
    return "".join(rng.choice(list(string.digits), n))


def text(rng, longest):
    n = int(np.exp(rng.uniform(np.log(3), np.log(longest))))
    return "".join(rng.choice(list(LETTERS), n))


def bitmap(content, name, **options):
    """Dark modules of one symbol, (rows, columns) of bool, no quiet zone."""
    code = zxingcpp.create_barcode(content, getattr(FORMAT, name), **options)
    return np.array(code.to_image(scale=1, add_quiet_zones=False)) < 128


def qr_code(rng):
    if rng.random() < 0.05:
        return bitmap(digits(rng, int(rng.integers(3, 10))), "MicroQRCode")
    longest = 1200 if rng.random() < 0.15 else 150
    return bitmap(text(rng, longest), "QRCode", ec_level=str(rng.choice(list("LMQH"))))


def data_matrix(rng):
    if rng.random() < 0.4:  # zint's versions 25..30 are the rectangles, 31..48 the extended ones
        try:
            return bitmap(text(rng, 8), "DataMatrix", version=int(rng.integers(25, 49)))
        except ValueError:
            pass
    longest = 400 if rng.random() < 0.2 else 60
    return bitmap(text(rng, longest), "DataMatrix", force_square=True)


def aztec(rng):
    return bitmap(text(rng, 500 if rng.random() < 0.2 else 80), "Aztec")


def pdf417(rng):
    name = "CompactPDF417" if rng.random() < 0.12 else "PDF417"
    content, columns = text(rng, 250), int(rng.integers(1, 13))
    try:
        dark = bitmap(content, name, columns=columns)
    except ValueError:
        dark = bitmap(content, name)
    while dark.shape[1] > THINNEST * dark.shape[0] and columns > 1:
        columns //= 2
        dark = bitmap(content, name, columns=columns)
    return dark


def linear_content(rng, name):
    if name == "UPCE":
        return "0" + digits(rng, 6)
    if name == "DataBarLtd":
        return "0" + digits(rng, 12)
    if name in DIGITS:
        return digits(rng, DIGITS[name])
    if name == "ITF":
        return digits(rng, 2 * int(rng.integers(2, 9)))
    if name == "Codabar":
        return "A" + digits(rng, int(rng.integers(4, 14))) + "B"
    if name == "DataBarExp":
        return "[01]9" + digits(rng, 12) + "0"
    if name == "DataBarExpStk":
        return "[01]9" + digits(rng, 12) + "0[3103]" + digits(rng, 6)
    letters = string.ascii_uppercase + string.digits + ("-." if name == "Code39" else "")
    return "".join(rng.choice(list(letters), int(rng.integers(3, 20))))


def linear(rng):
    """Bars of a random height; stacked kinds keep their rows."""
    name = str(rng.choice(LINEAR))
    try:
        dark = bitmap(linear_content(rng, name), name)
    except ValueError:  # a check digit or length that this kind refuses
        name = "Code128"
        dark = bitmap(linear_content(rng, name), name)
    height = int(dark.shape[1] * np.exp(rng.uniform(np.log(0.15), np.log(0.95))))
    rows = np.linspace(0, dark.shape[0] - 1, max(height, 4)).round().astype(int)
    return dark[rows]


ENCODERS = {"qr_code": qr_code, "data_matrix": data_matrix, "aztec": aztec, "pdf417": pdf417,
            "linear": linear}


def symbol(rng, class_id):
    """A random symbol of a class: dark modules, (rows, columns) of bool."""
    while True:
        try:
            dark = ENCODERS[CLASSES[class_id]](rng)
        except ValueError:  # content that does not fit the kind: draw again
            continue
        if max(dark.shape) <= 400:
            return dark
