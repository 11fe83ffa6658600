"""The colours of a picture as browsers show them, in sRGB.

Which of a file's statements about its colours counts is taken from Chromium 156 and Firefox 153,
not from specifications: tests/browser/test_as_shown.py asks both. Where they differ, nobody can say
what the author's readers see, and the picture is left alone.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

from sitecodec.encoding import chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HDR = (16, 18)  # transfer functions of ITU-T H.273: PQ and HLG
_OTHER_SPACES = ("Lab", "XYZ")  # Chromium takes such a profile for a picture of RGB, Firefox not

# Of ITU-T H.273 the primaries and transfer functions that both browsers show alike.
_WHITE = (0.3127, 0.329)
_SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_PRIMARIES = {
    1: (*_WHITE, *_SRGB),
    9: (*_WHITE, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    12: (*_WHITE, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 13: 0.0}  # 0: sRGB's own curve
_UNSPECIFIED = bytes((2, 2, 0, 1))

_USUAL, _NEARLY = 1 / 2.2, 0.05  # so near the usual one, browsers pass over a gamma alone
_LEAST, _MOST = 0.05, 5.0  # beyond, the browsers differ
_SEEN = 2  # levels of 255 that nobody notices

_D50 = np.array([0.9642, 1.0, 0.8249])
# Bradford's matrix, with which ICC profiles adapt colours to another white.
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def of_png(png: chunks.Png) -> bytes | None:
    """The ICC profile of a PNG's colours, b'' for sRGB, None where browsers differ."""
    coded = png.said.get(b"cICP", b"") if b"cICP" not in png.late else b""
    if coded and coded != _UNSPECIFIED:
        return _of_code(coded)
    if png.late - {b"cICP", b"eXIf"}:
        return None
    gamma = int.from_bytes(png.said.get(b"gAMA", b"")[:4], "big") / 100_000
    odd = gamma > 0 and abs(gamma / _USUAL - 1) >= _NEARLY
    profile = chunks.profile(png)
    space = _space(profile)
    if space == "GRAY" and not png.grey:
        return None if odd else b""
    if space in ("RGB", "GRAY"):
        return _on_grey(profile) if png.grey and space == "RGB" else profile
    if space in _OTHER_SPACES:
        return None
    if png.said.get(b"sRGB", b"\xff")[0] <= 3:
        return None if odd else b""
    if not _LEAST <= gamma <= _MOST:
        return b"" if not gamma else None
    primaries = struct.unpack(">8I", png.said.get(b"cHRM", bytes(32)).ljust(32, b"\0")[:32])
    if min(primaries[1::2]) > 0:
        return _profile([value / 100_000 for value in primaries], 1 / gamma)
    return _profile(_PRIMARIES[1], 1 / gamma) if odd else b""


def of_profile(profile: bytes, image: Image.Image) -> bytes | None:
    """The profile that a JPEG or WebP file with this one is shown by, b'' for sRGB.

    None where browsers differ: about inks, whose profile only Chromium obeys.
    """
    space = _space(profile)
    if image.mode == "CMYK":
        return b"" if space in ("", "GRAY") else None
    if space in _OTHER_SPACES:
        return None
    usable = space == "RGB" or (space == "GRAY" and image.mode == "L")
    return profile if usable else b""


def is_hdr(data: bytes, profile: bytes, code: bytes = b"") -> bool:
    """Whether a file is brighter than white on a screen that can: PQ, HLG, or a gain map.

    `data` is the file or its beginning, `profile` its ICC profile, `code` a PNG's cICP chunk.
    """
    if code[1:2] and code[1] in _HDR:
        return True
    count = int.from_bytes(profile[128:132], "big")
    for entry in range(132, 132 + 12 * min(count, 100), 12):
        if profile[entry : entry + 4] == b"cicp":
            start = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            return profile[start + 9 : start + 10] in (b"\x10", b"\x12")
    return data[:2] == b"\xff\xd8" and any(
        name in data
        for name in (
            b"http://ns.adobe.com/hdr-gain-map/1.0/",
            b"urn:iso:std:iso:ts:21496:-1",
            b"urn:com:apple:photo:2020:aux:hdrgainmap",
        )
    )


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An RGB or grey picture in sRGB; as it is where the profile turns out to be broken."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _space(profile) == "RGB":
            image = image.convert("RGB")
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return converted if converted is not None else image


def _space(profile: bytes) -> str:
    """The space of a profile's colours: 'RGB', 'GRAY', 'CMYK' …; '' if it is broken."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return ""


def _on_grey(profile: bytes) -> bytes | None:
    """Nothing if the profile leaves greys as they are: Chromium obeys it there, Firefox not."""
    ramp = np.arange(256, dtype=np.uint8)[None]
    shown = np.asarray(to_srgb(Image.fromarray(ramp), profile).convert("RGB")).astype(int)
    return b"" if np.abs(shown - ramp[..., None]).max() <= _SEEN else None


def _of_code(code: bytes) -> bytes | None:
    """The profile of a cICP chunk; None where browsers differ."""
    if len(code) != 4 or code[2:] != b"\0\1":  # samples of RGB over all levels
        return None
    primaries, gamma = _PRIMARIES.get(code[0]), _GAMMAS.get(code[1])
    if primaries is None or gamma is None:
        return None
    return _profile(primaries, gamma) if (code[0], code[1]) != (1, 13) else b""


def _profile(xy: list[float] | tuple[float, ...], gamma: float) -> bytes | None:
    """An ICC profile of primaries and a curve; None if there are no such colours.

    `xy` are the chromaticities of white, red, green and blue; `gamma` 0 is sRGB's own curve.
    """
    white, *inks = (
        np.array([x / y, 1, (1 - x - y) / y]) for x, y in zip(xy[::2], xy[1::2], strict=True)
    )
    columns = np.stack(inks, axis=1)
    if abs(np.linalg.det(columns)) < 1e-3:
        return None
    shown = columns * np.linalg.solve(columns, white)
    shown = np.linalg.solve(_CONES, np.diag(_CONES @ _D50 / (_CONES @ white)) @ _CONES @ shown)
    levels = np.arange(256) / 255
    if gamma:
        light = levels**gamma
    else:
        light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    curve = struct.pack(">4xI", 256) + np.rint(light * 65535).astype(">u2").tobytes()
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50))]
    for name, column in zip(b"rgb", shown.T, strict=True):
        tags.append((bytes([name]) + b"XYZ", b"XYZ \0\0\0\0" + _fixed(column)))
        tags.append((bytes([name]) + b"TRC", b"curv" + curve))
    return _icc(tags)


def _fixed(values: NDArray[np.float64]) -> bytes:
    return struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _icc(tags: list[tuple[bytes, bytes]]) -> bytes:
    """An ICC profile, version 2.1, of a display of RGB."""
    start = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags:
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4xI12s12x4s28x", start + len(body), 0x02100000, b"mntrRGB XYZ ", b"acsp")
    return head + _fixed(_D50) + bytes(48) + table + body
