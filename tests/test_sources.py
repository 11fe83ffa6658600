import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from sitecodec.encoding import chunks, sources
from sitecodec.errors import ImageError
from tests import picture_files

LIMIT = 50_000_000


def load(data, limit=LIMIT):
    return sources.load(data, "docs/a b.png", limit)


def png(width, height, depth, colour, rows, extra=b""):
    """A PNG of raw scanlines, for what Pillow cannot write."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format_name", ["PNG", "WEBP"])
def test_lossless_rgb_is_loaded_exactly(make, photo, format_name):
    source = load(make.file(photo, format_name, lossless=True))
    assert isinstance(source, sources.Source)
    assert (source.width, source.height) == (384, 256)
    assert source.pixels.dtype == np.uint8
    assert source.pixels.flags.c_contiguous
    assert np.array_equal(source.pixels, photo)


def test_jpeg_is_loaded_as_pillow_decodes_it(make, photo):
    data = make.file(photo, "JPEG", quality=95)
    assert np.array_equal(load(data).pixels, np.asarray(Image.open(io.BytesIO(data))))


def test_one_pixel(make):
    assert load(make.file(np.full((1, 1, 3), 7, np.uint8))).pixels.tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_opaque_modes_become_rgb(make, photo, mode):
    image = Image.fromarray(photo).convert(mode)
    source = load(make.file(image))
    assert np.array_equal(source.pixels, np.asarray(image.convert("RGB")))


def test_sixteen_bit_grey_is_scaled_not_clipped(make):
    ramp = np.linspace(0, 65_535, 256).round().astype(np.uint16).reshape(16, 16)
    source = load(make.file(Image.fromarray(ramp)))
    assert np.abs(source.pixels[..., 0].astype(int) - ramp / 257).max() <= 1
    assert np.array_equal(source.pixels[..., 0], source.pixels[..., 2])


def test_sixteen_bit_rgb():
    row = struct.pack(">6H", 0xFF00, 0x8000, 0x0100, 0, 0x1234, 0xFFFF)
    assert load(png(2, 1, 16, 2, [row])).pixels.tolist() == [[[255, 128, 1], [0, 0x12, 255]]]


def test_sixteen_bit_opaque_rgba():
    row = struct.pack(">4H", 0xFF00, 0x8000, 0x0100, 0xFFFF)
    assert load(png(1, 1, 16, 6, [row])).pixels.tolist() == [[[255, 128, 1]]]


def test_cmyk_jpeg_shows_its_colours(make):
    red = Image.new("RGB", (32, 32), (220, 30, 30)).convert("CMYK")
    pixel = load(make.file(red, "JPEG", quality=95)).pixels[16, 16].astype(int)
    assert np.abs(pixel - [220, 30, 30]).max() < 12


def test_adobe_inverted_cmyk_is_not_shown_as_a_negative(make):
    data = make.file(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")
    assert b"Adobe" in data
    assert load(data).pixels.min() > 250


def test_transparency_is_the_fourth_channel(make, photo):
    image = Image.fromarray(photo).convert("RGBA")
    assert load(make.file(image)).pixels.shape == photo.shape
    image.putpixel((3, 3), (1, 2, 3, 254))
    for name, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        data = make.file(image, name, **options)
        np.testing.assert_array_equal(load(data).pixels, np.asarray(image))
        alone = sources.load(data, "x", 10**6, alpha=False)
        assert alone == sources.LeftAlone("has transparency")
    grey = load(make.file(image.convert("LA"))).pixels
    np.testing.assert_array_equal(grey, np.asarray(image.convert("LA").convert("RGBA")))


def test_a_picture_of_nothing_is_left_alone(make):
    image = Image.new("RGBA", (8, 8), (1, 2, 3, 0))
    assert load(make.file(image)) == sources.LeftAlone("transparent all over")


def test_alpha_is_kept_by_profiles(make, photo):
    image = Image.fromarray(np.dstack([photo, photo[..., 1] // 2]))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = load(make.file(image, icc_profile=profile)).pixels
    np.testing.assert_array_equal(kept[..., 3], photo[..., 1] // 2)


def test_palette_transparency_counts_only_where_used(make):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert load(make.file(image, transparency=b"\x00\xff")).pixels[0, 0].tolist() == [10, 20, 30]
    image.putpixel((0, 0), 0)
    clear = load(make.file(image, transparency=b"\x00\xff")).pixels
    assert clear[0, :2].tolist() == [[0, 0, 0, 0], [10, 20, 30, 255]]


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key", "alpha"),
    [
        (4, 0, b"\xf0", struct.pack(">H", 15), [0, 255]),
        (2, 0, b"\x60", struct.pack(">H", 2), [255, 0]),
        (1, 0, b"\x40", struct.pack(">H", 1), [255, 0]),
        (8, 2, b"\x01\x02\x03\xff\xff\xff", struct.pack(">3H", 1, 2, 3), [0, 255]),
        (16, 0, b"\x12\x34\xff\xff", struct.pack(">H", 0x1234), [0, 255]),
        (16, 0, b"\x12\x35\xff\xff", struct.pack(">H", 0x1234), None),
    ],
)
def test_a_transparent_colour_is_alpha(depth, colour, row, key, alpha):
    body = struct.pack(">I", len(key)) + b"tRNS" + key
    chunk = body + struct.pack(">I", zlib.crc32(body[4:]))
    pixels = load(png(2, 1, depth, colour, [row], chunk)).pixels
    assert (pixels[0, :, 3].tolist() if pixels.shape[2] == 4 else None) == alpha


def test_a_file_that_says_how_large_it_is_is_left_alone():
    files = picture_files.directions()
    assert load(files["dense.jpg"]) == sources.LeftAlone("says how large it is")
    assert load(files["dense.webp"]).pixels.shape == (48, 64, 3)


def test_what_is_brighter_than_white_is_left_alone(make, photo):
    files = picture_files.colours()
    xmp = b'<x xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'
    coded = picture_files.profile_of(b"RGB ", cicp=b"cicp" + bytes((0, 0, 0, 0, 9, 16, 0, 1)))
    for data in (
        files["cicp-pq.png"],
        files["cicp-hlg.png"],
        make.file(photo, "JPEG", xmp=xmp),
        make.file(photo, "JPEG", icc_profile=coded),
        make.file(photo, icc_profile=coded),
    ):
        assert load(data) == sources.LeftAlone("HDR")


def test_where_browsers_differ_it_is_left_alone():
    files = picture_files.colours() | picture_files.profiles()
    for name in ("srgb-gamma.png", "cicp-narrow.png", "inks-cmyk.jpg", "inks-swapped.jpg"):
        assert load(files[name]) == sources.LeftAlone("browsers differ about its colours")


def test_a_jpeg_without_its_end_is_whole_and_one_without_pixels_is_not(make, photo):
    for options in ({}, {"progressive": True}):
        data = make.file(photo, "JPEG", quality=95, **options)
        assert np.array_equal(load(data[:-2]).pixels, load(data).pixels)
        with pytest.raises(ImageError, match="truncated"):
            load(data[:-400])


@given(st.binary(max_size=200), st.integers(0, 60))
def test_exif_of_any_bytes(body, place):
    tags = chunks.tags(b"MM\0*\0\0\0" + bytes([place]) + body)
    assert all(isinstance(value, (int, float)) for value in tags.values())


ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_applied(make, orientation):
    stored = make.photo(16, 24)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = ORIENTATIONS[orientation](stored).astype(int)
    source = load(make.file(stored, "JPEG", exif=exif, quality=100, subsampling=0))
    assert source.pixels.shape == turned.shape
    assert np.abs(source.pixels - turned).mean() < 2


@pytest.mark.parametrize("orientation", [turn for turn in ORIENTATIONS if turn > 1])
def test_a_png_that_some_browsers_turn_is_left_alone(make, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = load(make.file(make.photo(16, 24), exif=exif))
    assert found == sources.LeftAlone("browsers differ about its direction")


def test_orientation_in_xmp_is_ignored_as_browsers_do(make):
    stored = make.photo(16, 24)
    data = make.file(stored, "JPEG", xmp=b'<x tiff:Orientation="6"></x>')
    assert (load(data).width, load(data).height) == (24, 16)


def test_broken_exif_is_ignored(make, photo):
    data = make.file(photo, exif=b"Exif\0\0II*\0garbage")
    assert np.array_equal(load(data).pixels, photo)


def swapped_profile():
    """An sRGB profile whose red and green primaries have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return (
        profile.replace(b"rXYZ", b"????", 1)
        .replace(b"gXYZ", b"rXYZ", 1)
        .replace(b"????", b"gXYZ", 1)
    )


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP"])
def test_icc_profile_is_converted_to_srgb(make, format_name):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    data = make.file(red, format_name, icc_profile=swapped_profile(), quality=95)
    r, g, b = load(data).pixels[8, 8].astype(int)
    assert g > 245
    assert max(r, b) < 10


def test_srgb_profile_changes_next_to_nothing(make, photo):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = load(make.file(photo, icc_profile=profile)).pixels
    assert np.abs(pixels.astype(int) - photo).max() <= 1


def test_profile_of_a_palette_image_is_used(make):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0])
    data = make.file(image, icc_profile=swapped_profile())
    assert load(data).pixels[0, 0].tolist() == [0, 255, 0]


def test_grey_image_with_a_colour_profile(make):
    grey = np.full((8, 8), 100, np.uint8)
    pixels = load(make.file(grey, icc_profile=swapped_profile())).pixels
    assert np.abs(pixels.astype(int) - 100).max() <= 2


@pytest.mark.parametrize("profile", [b"garbage", swapped_profile()[:200], b"\0" * 500])
def test_broken_profile_is_ignored(make, photo, profile):
    assert np.array_equal(load(make.file(photo, icc_profile=profile)).pixels, photo)


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "GIF"])
def test_animations_are_left_alone(make, format_name):
    frames = [Image.fromarray(make.photo(16, 16, seed)) for seed in (1, 2)]
    data = make.file(frames[0], format_name, save_all=True, append_images=frames[1:])
    assert load(data) == sources.LeftAlone("animated")


def test_multi_picture_jpeg_is_its_first_picture(make, photo):
    data = make.file(
        photo, "MPO", save_all=True, append_images=[Image.new("RGB", (384, 256))], quality=95
    )
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert load(data).pixels.std() > 10


@pytest.mark.parametrize("format_name", ["GIF", "BMP", "TIFF", "ICO", "AVIF"])
def test_other_formats_are_left_alone(make, format_name):
    data = make.file(make.photo(32, 32), format_name)
    assert load(data) == sources.LeftAlone(f"not a photo format: {format_name}")


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_what_is_no_image_is_an_error_that_names_the_file(data):
    with pytest.raises(ImageError, match=r"^docs/a b\.png: [a-z][^\n]*;[^\n]*$"):
        load(data)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP"])
def test_truncated_files_are_errors(make, photo, format_name):
    data = make.file(photo, format_name)
    for end in (20, 100, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(ImageError, match=r"^docs/a b\.png: [^\n]+$"):
            load(data[:end])


def test_pixel_limit_is_checked_before_decoding():
    bomb = png(60_000, 60_000, 8, 2, [b""])  # decoding it would fail, and differently
    with pytest.raises(ImageError, match="larger than any image"):
        load(bomb)
    with pytest.raises(ImageError, match="9000x9000 is over the limit"):
        load(png(9_000, 9_000, 8, 2, [b""]))


@pytest.mark.filterwarnings("error")
def test_pixel_limit_is_exact_and_raises_no_warning_of_pillow(make):
    data = make.file(np.zeros((10, 20, 3), np.uint8))
    assert isinstance(load(data, 200), sources.Source)
    with pytest.raises(ImageError, match="raise max_pixels"):
        load(data, 199)
    with pytest.raises(ImageError, match="over the limit"):
        load(png(12_000, 12_000, 8, 2, [b""]))


def test_a_side_no_jpeg_can_have_is_left_alone(make):
    data = make.file(np.zeros((1, 65_501), np.uint8))
    assert load(data) == sources.LeftAlone("a side over 65500 pixels")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_files_load_or_raise_image_error(data):
    format_name = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    raw = bytearray(DAMAGED[format_name])
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = load(bytes(raw), 1_000_000)
    except ImageError as error:
        result = str(error)
    if isinstance(result, str):
        assert "\n" not in result
        assert result.startswith("docs/a b.png: ")
    else:
        assert isinstance(result, sources.Source | sources.LeftAlone)


def small_files():
    pixels = (np.arange(40 * 30 * 3) * 7 % 251).astype(np.uint8).reshape(40, 30, 3)
    files = {}
    for format_name in ("PNG", "JPEG", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format_name, icc_profile=swapped_profile())
        files[format_name] = buffer.getvalue()
    return files


DAMAGED = small_files()
