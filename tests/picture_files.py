"""Files whose colours, direction or soundness browsers have a say in, made chunk by chunk.

What `sitecodec.encoding.sources` makes of them is compared with what browsers show:
tests/browser/test_sources_as_shown.py.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from tests.conftest import make_photo

PICTURE = Image.fromarray(make_photo(48, 64, 1))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped() -> bytes:
    """An sRGB profile whose red and green primaries have changed places."""
    profile = SRGB.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1)
    return profile.replace(b"????", b"gXYZ", 1)


def profile_of(space: bytes, **tags: bytes) -> bytes:
    """An ICC profile, version 2.1, of a colour space with tags."""
    white = struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    tags = {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78),
        "cprt": b"text\0\0\0\0none\0",
        "wtpt": b"XYZ \0\0\0\0" + white,
    } | tags
    table, body = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4s4s4s4s4s6H4s",
        start + len(body),
        b"",
        b"\2\x10\0\0",
        b"mntr",
        space,
        b"XYZ ",
        2020,
        1,
        1,
        0,
        0,
        0,
        b"acsp",
    )
    return head + bytes(68 - len(head)) + white + bytes(48) + table + body


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


GREY_PROFILE = profile_of(b"GRAY", kTRC=gamma_curve(2.2))
DARK_GREY_PROFILE = profile_of(b"GRAY", kTRC=gamma_curve(3.0))


def dark_profile() -> bytes:
    """sRGB's primaries with a curve that is much darker."""
    tags = {f"{c}XYZ": b"XYZ " + bytes(4) + xyz for c, xyz in zip("rgb", PRIMARIES, strict=True)}
    return profile_of(b"RGB ", **tags, **{f"{c}TRC": gamma_curve(3.0) for c in "rgb"})


PRIMARIES = [
    struct.pack(">3i", *(round(v * 65536) for v in xyz))
    for xyz in (
        (0.43607, 0.22249, 0.01392),
        (0.38515, 0.71687, 0.09708),
        (0.14307, 0.06061, 0.7141),
    )
]
DARK_PROFILE = dark_profile()


def cmyk_profile() -> bytes:
    """A CMYK profile in which ink is twice as pale as usual: an A2B0 table of two points a side."""
    corners = np.zeros((2, 2, 2, 2, 3), np.uint8)
    for c, m, y, k in np.ndindex(2, 2, 2, 2):
        lightness = 255 * (1 - 0.5 * k) * (1 - 0.1 * (c + m + y))
        corners[c, m, y, k] = (lightness, 128 + 30 * (m - c), 128 + 30 * (y - c))
    ramp = bytes(range(256))
    body = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0])
    body += struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    body += ramp * 4 + corners.tobytes() + ramp * 3
    data = bytearray(profile_of(b"CMYK", A2B0=body))
    data[12:16], data[20:24] = b"prtr", b"Lab "
    return bytes(data)


def chunk(kind: bytes, data: bytes, wrong: int = 0) -> bytes:
    check = zlib.crc32(kind + data) ^ wrong
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(image: Image.Image, *before: bytes, after: tuple[bytes, ...] = (), **options) -> bytes:
    """A PNG with chunks behind its header, and others between pixels and end."""
    data = file_of(image, **options)
    return data[:33] + b"".join(before) + data[33:-12] + b"".join(after) + data[-12:]


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def primaries(*xy: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in xy)))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def cicp(*values: int) -> bytes:
    return chunk(b"cICP", bytes(values))


P3 = primaries(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
OF_SRGB = primaries(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
D50 = primaries(0.3457, 0.3585, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
USUAL, SAYS_SRGB = gamma(0.45455), chunk(b"sRGB", b"\0")


def colours() -> dict[str, bytes]:
    """PNG files by how they say what their colours are."""
    grey = PICTURE.convert("L")
    few = PICTURE.quantize(200)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    clear = PICTURE.copy()
    clear.putalpha(200)
    said = {
        "nothing": (),
        "srgb": (SAYS_SRGB,),
        "srgb-gamma": (SAYS_SRGB, gamma(1.0)),
        "gamma-srgb": (gamma(1.0), SAYS_SRGB),
        "srgb-p3": (SAYS_SRGB, P3),
        "srgb-bad": (chunk(b"sRGB", b"\x09"), gamma(1.0)),
        "usual": (USUAL,),
        "mac": (gamma(1 / 1.8),),
        "linear": (gamma(1.0),),
        "nearly": (gamma(0.47),),
        "zero": (gamma(0),),
        "huge": (gamma(20_000),),
        "small": (gamma(0.05),),
        "gamma-wrong-crc": (chunk(b"gAMA", struct.pack(">I", 100_000), 1),),
        "gamma-short": (chunk(b"gAMA", b"\0\1"),),
        "gamma-twice": (gamma(1.0), USUAL),
        "p3": (P3,),
        "p3-gamma": (P3, USUAL),
        "p3-linear": (P3, gamma(1.0)),
        "d50-gamma": (D50, USUAL),
        "same-gamma": (OF_SRGB, gamma(1 / 1.8)),
        "same-usual": (OF_SRGB, USUAL),
        "p3-nearly": (P3, gamma(0.47)),
        "same-nearly": (OF_SRGB, gamma(0.47)),
        "gamma-48": (gamma(0.48),),
        "gamma-43": (gamma(0.43),),
        "srgb-mac": (SAYS_SRGB, gamma(1 / 1.8)),
        "primaries-zero": (primaries(*[0] * 8), USUAL),
        "primaries-line": (primaries(0.3, 0.3, 0.6, 0.3, 0.3, 0.3, 0.1, 0.3), USUAL),
        "swapped": (iccp(swapped()),),
        "swapped-gamma": (gamma(1.0), iccp(swapped())),
        "swapped-srgb": (SAYS_SRGB, iccp(swapped())),
        "dark": (iccp(DARK_PROFILE),),
        "grey-profile-gamma": (iccp(DARK_GREY_PROFILE), gamma(1.0)),
        "broken-gamma": (iccp(b"nonsense" * 30), gamma(1.0)),
        "broken-srgb": (iccp(b"nonsense" * 30), SAYS_SRGB),
        "broken-zlib": (chunk(b"iCCP", b"x\0\0nonsense"), gamma(1.0)),
        "grey-profile": (iccp(DARK_GREY_PROFILE),),
        "cicp-srgb": (cicp(1, 13, 0, 1),),
        "cicp-p3": (cicp(12, 13, 0, 1),),
        "cicp-bt709": (cicp(1, 1, 0, 1),),
        "cicp-2020": (cicp(9, 14, 0, 1),),
        "cicp-2020-srgb": (cicp(9, 13, 0, 1),),
        "cicp-gamma22": (cicp(1, 4, 0, 1),),
        "cicp-gamma28": (cicp(1, 5, 0, 1),),
        "cicp-linear": (cicp(1, 8, 0, 1),),
        "cicp-601": (cicp(6, 6, 0, 1),),
        "cicp-240m": (cicp(7, 7, 0, 1),),
        "cicp-dci": (cicp(11, 17, 0, 1),),
        "cicp-narrow": (cicp(12, 13, 0, 0),),
        "cicp-matrix": (cicp(12, 13, 1, 1),),
        "cicp-unspecified": (cicp(2, 2, 0, 1),),
        "cicp-reserved": (cicp(3, 3, 0, 1),),
        "cicp-unspecified-icc": (cicp(2, 2, 0, 1), iccp(swapped())),
        "cicp-half": (cicp(12, 2, 0, 1),),
        "cicp-pq": (cicp(9, 16, 0, 1),),
        "cicp-hlg": (cicp(9, 18, 0, 1),),
        "cicp-icc": (cicp(12, 13, 0, 1), iccp(swapped())),
        "cicp-srgb-icc": (cicp(1, 13, 0, 1), iccp(swapped())),
        "cicp-gamma": (cicp(1, 13, 0, 1), gamma(1.0)),
        "cicp-wrong-crc": (chunk(b"cICP", bytes((12, 13, 0, 1)), 1),),
    }
    files = {f"{name}.png": png(PICTURE, *chunks) for name, chunks in said.items()}
    files["late-gamma.png"] = png(PICTURE, after=(gamma(1.0),))
    files["late-iccp.png"] = png(PICTURE, after=(iccp(swapped()),))
    for kind, image in (("grey", grey), ("few", few), ("deep", deep), ("clear", clear)):
        files[f"{kind}-linear.png"] = png(image, gamma(1.0))
        files[f"{kind}-p3.png"] = png(image, P3, USUAL)
        files[f"{kind}-cicp-p3.png"] = png(image, cicp(12, 13, 0, 1))
        files[f"{kind}-swapped.png"] = png(image, iccp(swapped()))
        files[f"{kind}-dark.png"] = png(image, iccp(DARK_PROFILE))
        files[f"{kind}-grey-profile.png"] = png(image, iccp(DARK_GREY_PROFILE))
    data = png(few)
    at = data.index(b"IDAT") - 4
    files["few-gamma-behind-palette.png"] = data[:at] + gamma(1.0) + data[at:]
    files["few-iccp-behind-palette.png"] = data[:at] + iccp(swapped()) + data[at:]
    files["few-cicp-behind-palette.png"] = data[:at] + cicp(12, 13, 0, 1) + data[at:]
    return files


def profiles() -> dict[str, bytes]:
    """JPEG and WebP files by their profile."""
    grey, inks = PICTURE.convert("L"), PICTURE.convert("CMYK")
    files = {}
    for name, profile in (
        ("none", None),
        ("swapped", swapped()),
        ("dark", DARK_PROFILE),
        ("grey", DARK_GREY_PROFILE),
        ("cmyk", cmyk_profile()),
        ("broken", b"nonsense" * 30),
        ("short", swapped()[:200]),
    ):
        extra = {"icc_profile": profile} if profile else {}
        files[f"{name}.jpg"] = file_of(PICTURE, "JPEG", quality=95, subsampling=0, **extra)
        files[f"grey-{name}.jpg"] = file_of(grey, "JPEG", quality=95, **extra)
        files[f"inks-{name}.jpg"] = file_of(inks, "JPEG", quality=95, subsampling=0, **extra)
        files[f"{name}.webp"] = file_of(PICTURE, "WEBP", lossless=True, **extra)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2  # colour space: Adobe RGB
    files["exif-adobe.jpg"] = file_of(PICTURE, "JPEG", quality=95, subsampling=0, exif=exif)
    data = file_of(PICTURE, "JPEG", quality=95, subsampling=0)
    half = len(swapped()) // 2
    parts = [b"ICC_PROFILE\0\1\2" + swapped()[:half], b"ICC_PROFILE\0\2\2" + swapped()[half:]]
    segments = [b"\xff\xe2" + struct.pack(">H", 2 + len(p)) + p for p in parts]
    files["two-parts.jpg"] = data[:2] + segments[0] + segments[1] + data[2:]
    files["parts-swapped.jpg"] = data[:2] + segments[1] + segments[0] + data[2:]
    files["part-missing.jpg"] = data[:2] + segments[0] + data[2:]
    return files


def directions() -> dict[str, bytes]:
    """Files by where they say that they lie on their side."""
    tag = Image.Exif()
    tag[0x0112] = 6
    raw = tag.tobytes()
    bare = raw[6:]
    big = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    long = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\4\0\0\0\1\0\0\0\6\0\0\0\0"
    byte = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\1\0\0\0\1\6\0\0\0\0\0\0\0"
    nine = big.replace(b"\0\6\0\0", b"\0\x09\0\0")
    twice = b"MM\0*\0\0\0\x08\0\2" + big[10:22] + big[10:18] + b"\0\3\0\0" + bytes(4)
    second = b"MM\0*\0\0\0\x08\0\0\0\0\0\x0e\0\1" + big[10:22] + bytes(4)
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-'
        b'rdf-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
        b' tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    words = bare.hex()
    text = f"\nexif\n{len(raw):8d}\n{raw.hex()}\n".encode()
    assert words
    files = {
        "exif.png": png(PICTURE, chunk(b"eXIf", bare)),
        "exif-big.png": png(PICTURE, chunk(b"eXIf", big)),
        "exif-prefixed.png": png(PICTURE, chunk(b"eXIf", raw)),
        "exif-wrong-crc.png": png(PICTURE, chunk(b"eXIf", bare, 1)),
        "exif-twice.png": png(PICTURE, chunk(b"eXIf", bare), chunk(b"eXIf", nine)),
        "exif-late.png": png(PICTURE, after=(chunk(b"eXIf", bare),)),
        "exif-second.png": png(PICTURE, chunk(b"eXIf", second)),
        "exif-long.png": png(PICTURE, chunk(b"eXIf", long)),
        "raw-text.png": png(
            PICTURE, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
        ),
        "raw-text-app1.png": png(
            PICTURE, chunk(b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(text))
        ),
        "xmp.png": png(PICTURE, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
        "exif.webp": file_of(PICTURE, "WEBP", lossless=True, exif=raw),
        "xmp.webp": file_of(PICTURE, "WEBP", lossless=True, xmp=xmp),
    }
    for name, exif in (
        ("exif", raw),
        ("exif-big", b"Exif\0\0" + big),
        ("exif-long", b"Exif\0\0" + long),
        ("exif-byte", b"Exif\0\0" + byte),
        ("exif-nine", b"Exif\0\0" + nine),
        ("exif-both", b"Exif\0\0" + twice),
        ("exif-second", b"Exif\0\0" + second),
        ("exif-garbage", b"Exif\0\0II*\0garbage"),
    ):
        files[f"{name}.jpg"] = file_of(PICTURE, "JPEG", quality=95, subsampling=0, exif=exif)
    for turn in range(1, 9):
        tag[0x0112] = turn
        files[f"turn-{turn}.jpg"] = file_of(PICTURE, "JPEG", quality=95, subsampling=0, exif=tag)
        files[f"turn-{turn}.png"] = png(PICTURE, chunk(b"eXIf", tag.tobytes()[6:]))
    plain = file_of(PICTURE, "JPEG", quality=95, subsampling=0)

    def app1(body: bytes) -> bytes:
        return b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body

    files["xmp.jpg"] = file_of(PICTURE, "JPEG", quality=95, subsampling=0, xmp=xmp)
    six, one = b"Exif\0\0" + big, b"Exif\0\0" + big.replace(b"\0\6\0\0", b"\0\1\0\0")
    files["six-then-one.jpg"] = plain[:2] + app1(six) + app1(one) + plain[2:]
    files["one-then-six.jpg"] = plain[:2] + app1(one) + app1(six) + plain[2:]
    at = plain.index(b"\xff\xda")
    files["late-exif.jpg"] = plain[:at] + app1(six) + plain[at:]
    # A file that says how many pixels it has to an inch: natural size may follow it.
    dense = Image.Exif()
    dense[0x011A], dense[0x011B], dense[0x0128] = 144.0, 144.0, 2
    dense.get_ifd(0x8769).update({0xA002: 32, 0xA003: 24})
    files["dense.jpg"] = file_of(PICTURE, "JPEG", quality=95, subsampling=0, exif=dense)
    files["dense.png"] = png(PICTURE, chunk(b"eXIf", dense.tobytes()[6:]))
    files["dense.webp"] = file_of(PICTURE, "WEBP", lossless=True, exif=dense)
    return files


def sound() -> dict[str, bytes]:
    """Files with something odd about them that browsers may show all the same."""
    data = file_of(PICTURE)
    jpeg = file_of(PICTURE, "JPEG", quality=95, subsampling=0)
    progressive = file_of(PICTURE, "JPEG", quality=95, subsampling=0, progressive=True)
    webp = file_of(PICTURE, "WEBP", quality=90)
    at = data.index(b"IDAT")
    length = int.from_bytes(data[at - 4 : at], "big")
    pixels = data[at + 4 : at + 4 + length]
    head = data[: at - 4]
    keyed = png(PICTURE.convert("L"))
    few = PICTURE.quantize(60)
    scan = jpeg.index(b"\xff\xda")
    bent = bytearray(pixels)
    bent[-1] ^= 1  # the checksum of zlib
    files = {
        "text.png": png(PICTURE, chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000)),
        "texts.png": png(PICTURE, *[chunk(b"tEXt", b"Comment\0" + b"x" * 900_000)] * 90),
        "packed-text.png": png(
            PICTURE, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000)))
        ),
        "packed-nonsense.png": png(PICTURE, chunk(b"zTXt", b"Comment\0\0nonsense")),
        "wrong-crc.png": png(PICTURE, chunk(b"tEXt", b"Comment\0hello", 1)),
        "wrong-crc-late.png": png(PICTURE, after=(chunk(b"tEXt", b"Comment\0hello", 1),)),
        "unknown-chunk.png": png(PICTURE, chunk(b"abCd", b"hello")),
        "unknown-critical.png": png(PICTURE, chunk(b"ABCD", b"hello")),
        "wrong-crc-pixels.png": head + chunk(b"IDAT", pixels, 1) + data[-12:],
        "wrong-crc-header.png": data[:29] + b"\0\0\0\0" + data[33:],
        "wrong-crc-end.png": data[:-4] + b"\0\0\0\0",
        "no-end.png": data[:-12],
        "wrong-zlib.png": head + chunk(b"IDAT", bytes(bent)) + data[-12:],
        "zlib-cut.png": head + chunk(b"IDAT", pixels[:-4]) + data[-12:],
        "more-pixels.png": head + chunk(b"IDAT", pixels + b"more" * 20) + data[-12:],
        "many-parts.png": head
        + b"".join(chunk(b"IDAT", pixels[i : i + 100]) for i in range(0, length, 100))
        + data[-12:],
        "between.png": head
        + chunk(b"IDAT", pixels[:999])
        + chunk(b"tEXt", b"Comment\0hello")
        + chunk(b"IDAT", pixels[999:])
        + data[-12:],
        "trailing.png": data + b"trailing" * 20,
        "half.png": data[: len(data) // 2],
        "nearly.png": data[: len(data) * 95 // 100],
        "interlaced-like.png": png(few),
        "key.png": keyed[:33] + chunk(b"tRNS", struct.pack(">H", keyed_level())) + keyed[33:],
        "key-colour.png": png(
            PICTURE, chunk(b"tRNS", struct.pack(">3H", *PICTURE.getpixel((5, 5))))
        ),
        "key-deep.png": png(
            Image.fromarray(np.asarray(PICTURE.convert("L")).astype(np.uint16) * 256 + 7),
            chunk(b"tRNS", struct.pack(">H", keyed_level() * 256 + 7)),
        ),
        "key-deep-none.png": png(
            Image.fromarray(np.asarray(PICTURE.convert("L")).astype(np.uint16) * 256 + 7),
            chunk(b"tRNS", struct.pack(">H", keyed_level() * 256 + 8)),
        ),
        "key-bit.png": png(
            Image.fromarray(np.indices((48, 64)).sum(0) % 3 == 0), chunk(b"tRNS", b"\0\1")
        ),
        "no-end.jpg": jpeg[:-2],
        "no-end-progressive.jpg": progressive[:-2],
        "trailing.jpg": jpeg + b"trailing" * 20,
        "half.jpg": jpeg[: len(jpeg) // 2],
        "half-progressive.jpg": progressive[: len(progressive) // 2],
        "nearly.jpg": jpeg[: len(jpeg) * 98 // 100],
        "garbage-between.jpg": jpeg[:scan] + b"garbage" + jpeg[scan:],
        "bent.jpg": jpeg[: scan + 900] + b"\x12\x34\x56" + jpeg[scan + 903 :],
        "trailing.webp": webp + b"trailing" * 20,
        "half.webp": webp[: len(webp) // 2],
        "cut.webp": webp[:-3],
    }
    return files


def keyed_level() -> int:
    return int(PICTURE.convert("L").getpixel((5, 5)))
