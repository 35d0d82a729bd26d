# SPDX-License-Identifier: Apache-2.0
"""Small writers of picture files, for layouts that Pillow and OpenCV do not write."""
import struct
import zlib

import numpy as np


def pack_rows(samples, depth):
    """(H,W,C) samples of depth bits → H byte strings, most significant bit first, big-endian."""
    height, width, channels = samples.shape
    if depth >= 8:
        wide = samples.astype(f">u{depth // 8}")
        return [row.tobytes() for row in wide]
    bits = (samples.reshape(height, -1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    return [row.tobytes() for row in np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)]


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# Adam7: first row, first column, row step, column step of each pass.
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
         (1, 0, 2, 1)]


def png(samples, depth, colour, interlaced=False, palette=None, before=(), after=()):
    """PNG bytes of (H,W,C) samples; colour: 0 gray, 2 RGB, 3 palette, 4 gray+alpha, 6 RGBA."""
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    rows = []
    for y, x, dy, dx in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            rows += [b"\0" + row for row in pack_rows(part, depth)]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    out = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    if palette is not None:
        out += png_chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes())
    for name, data in before:
        out += png_chunk(name, data)
    out += png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
    for name, data in after:
        out += png_chunk(name, data)
    return out + png_chunk(b"IEND", b"")


def bmp(width, height, bits, data, header=40, compression=0, palette=b"", masks=(), gap=0):
    """BMP bytes around pixel data; height negative for top-down."""
    if header == 12:
        second = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        used = len(palette) // 4
        second = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data),
                             0, 0, used, 0)
        fields = struct.pack(f"<{len(masks)}I", *masks)
        second += fields if header == 40 else fields.ljust(header - 40, b"\0")
    start = 14 + len(second) + len(palette) + gap
    first = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
    return first + second + palette + b"\xee" * gap + data


def tiff(samples, depth=8, photometric=2, planar=False, tile=None, rows_per_strip=None, big=False,
         extra=None, orientation=None, palette=None, order="<"):
    """Uncompressed TIFF bytes of (H,W,C) samples, in strips, tiles or planes."""
    height, width, channels = samples.shape
    rows_per_strip = rows_per_strip or height
    planes = [samples[:, :, i:i + 1] for i in range(channels)] if planar else [samples]
    blocks = []
    for plane in planes:
        if tile:
            ph, pw = -height % tile, -width % tile
            padded = np.pad(plane, ((0, ph), (0, pw), (0, 0)))
            blocks += [padded[y:y + tile, x:x + tile] for y in range(0, height, tile)
                       for x in range(0, width, tile)]
        else:
            blocks += [plane[y:y + rows_per_strip] for y in range(0, height, rows_per_strip)]
    packed = [b"".join(pack_rows(block, depth)) if depth <= 8 else
              block.astype(f"{order}u{depth // 8}").tobytes() for block in blocks]
    kinds = {3: "H", 4: "I", 16: "Q"}
    tags = {256: (3, [width]), 257: (3, [height]), 258: (3, [depth] * channels), 259: (3, [1]),
            262: (3, [photometric]), 277: (3, [channels]), 284: (3, [2 if planar else 1])}
    if extra is not None:
        tags[338] = (3, [extra])
    if orientation:
        tags[274] = (3, [orientation])
    if palette is not None:
        tags[320] = (3, [int(v) for v in np.asarray(palette).T.reshape(-1)])
    if tile:
        tags |= {322: (3, [tile]), 323: (3, [tile])}
    else:
        tags[278] = (3, [rows_per_strip])
    body, at = b"", 16 if big else 8
    offsets = []
    for block in packed:
        offsets.append(at + len(body))
        body += block + b"\0" * (len(block) % 2)
    wide = 16 if big else 4
    tags[324 if tile else 273] = (wide, offsets)
    tags[325 if tile else 279] = (wide, [len(block) for block in packed])
    entries, inline = b"", 8 if big else 4
    for tag in sorted(tags):
        kind, values = tags[tag]
        data = struct.pack(f"{order}{len(values)}{kinds[kind]}", *values)
        if len(data) > inline:
            where, body = at + len(body), body + data + b"\0" * (len(data) % 2)
            data = struct.pack(order + ("Q" if big else "I"), where)
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
        entries += data.ljust(inline, b"\0")
    directory = at + len(body)
    mark = b"II" if order == "<" else b"MM"
    if big:
        start = mark + struct.pack(order + "HHHQ", 43, 8, 0, directory)
        return start + body + struct.pack(order + "Q", len(tags)) + entries + b"\0" * 8
    start = mark + struct.pack(order + "HI", 42, directory)
    return start + body + struct.pack(order + "H", len(tags)) + entries + b"\0" * 4


def exif(orientation, order="<", prefix=b""):
    """An EXIF block that states nothing but the orientation."""
    mark = b"II" if order == "<" else b"MM"
    return (prefix + mark + struct.pack(order + "HIH", 42, 8, 1)
            + struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0) + b"\0" * 4)
