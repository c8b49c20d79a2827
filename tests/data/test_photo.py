"""A reader's own pictures: every kind that occurs, and every way to be none."""

import os
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvnet.data.photo import FRAMES, read_photo

RAMP = np.arange(12 * 8 * 3, dtype=np.uint8).reshape(8, 12, 3)


def pixels(image):
    found = read_photo(image)
    assert found.mode == "RGB"
    return np.asarray(found)


def png_of_size(path, width, height):
    """A PNG whose header promises many pixels and whose body holds none."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_paths_pictures_and_arrays_are_the_same(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RAMP).save(path)
    for image in (path, str(path), Image.open(path), RAMP, RAMP[:, ::-1][:, ::-1]):
        assert (pixels(image) == RAMP).all()


def test_greys_palettes_and_colour_spaces_become_rgb(tmp_path):
    grey = RAMP[..., 0]
    assert (pixels(grey) == grey[..., None]).all()
    for mode in ("L", "1", "P", "CMYK", "YCbCr", "HSV"):
        assert pixels(Image.fromarray(RAMP).convert(mode)).shape == RAMP.shape


def test_what_is_transparent_becomes_white():
    clear = np.dstack([RAMP, np.zeros(RAMP.shape[:2], np.uint8)])
    assert (pixels(clear) == 255).all()
    clear[..., 3] = 255
    assert (pixels(clear) == RAMP).all()
    palette = Image.fromarray(RAMP[..., 0] % 2, "L").convert("P")
    palette.info["transparency"] = 0
    assert (pixels(palette)[0, 0] == 255).all()
    grey = Image.merge("LA", (Image.new("L", (12, 8), 99), Image.new("L", (12, 8), 51)))
    for picture in (
        grey,
        grey.convert("La"),
        grey.convert("RGBA"),
        grey.convert("RGBA").convert("RGBa"),
    ):
        assert np.abs(pixels(picture).astype(int) - (99 + 4 * 255) / 5).max() <= 2, picture.mode
    high = np.zeros((600, 3, 4), np.uint8)  # more than one strip
    high[::7] = 255
    assert (pixels(high)[::7] == 255).all() and (pixels(high) == 255).all()


def test_what_is_read_is_the_reader_s_own():
    given = Image.fromarray(RAMP)
    found = read_photo(given)
    given.putpixel((0, 0), (9, 9, 9))
    assert (np.asarray(found) == RAMP).all()


@pytest.mark.parametrize("top", [4095, 255, 16383])
def test_fewer_bits_in_sixteen_would_be_black_and_are_refused(tmp_path, top):
    """As a camera of 12 bits writes them, which would leave 15 of 255."""
    deep = np.linspace(0, top, 96).astype(np.uint16).reshape(8, 12)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=f"deep.png holds nothing above {top} of 65535, .*8 bits"):
        read_photo(tmp_path / "deep.png")


@pytest.mark.parametrize("kind", ["I;16", "I"])
def test_sixteen_bits_keep_their_upper_half(tmp_path, kind):
    deep = np.arange(96, dtype=np.uint16).reshape(8, 12) * 600
    path = tmp_path / "deep.png"
    Image.fromarray(deep).save(path)
    assert (pixels(path) == (deep >> 8)[..., None]).all()
    picture = Image.fromarray(deep.astype(np.int32)) if kind == "I" else Image.fromarray(deep)
    assert picture.mode == kind and (pixels(picture) == (deep >> 8)[..., None]).all()


def test_a_camera_that_was_turned_is_turned_back(tmp_path):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the viewer is to turn it by 90 degrees to the right
    Image.fromarray(RAMP).save(path, exif=exif)
    assert (pixels(path) == np.rot90(RAMP, -1)).all()
    assert (pixels(Image.open(path)) == np.rot90(RAMP, -1)).all()


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_an_orientation_that_turns_nothing_is_fine(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RAMP).save(tmp_path / "a.png", exif=exif)
    assert (pixels(tmp_path / "a.png") == RAMP).all()


@pytest.mark.parametrize("suffix", ["gif", "tiff", "png", "webp"])
def test_of_several_frames_the_first_is_read_and_the_reader_knows(tmp_path, suffix):
    first, second = Image.new("RGB", (12, 8), "black"), Image.new("RGB", (12, 8), "white")
    first.save(tmp_path / f"many.{suffix}", save_all=True, append_images=[second])
    first.save(tmp_path / f"one.{suffix}")
    many = read_photo(tmp_path / f"many.{suffix}")
    assert not np.asarray(many).any() and many.info == read_photo(many).info == {FRAMES: 2}
    assert read_photo(tmp_path / f"one.{suffix}").info == {}


def test_the_preview_that_a_phone_adds_is_no_frame(tmp_path):
    picture = Image.new("RGB", (12, 8), "red")
    picture.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[picture])
    assert read_photo(tmp_path / "phone.jpg").info == {}


@pytest.mark.slow
def test_reading_holds_a_picture_twice_and_no_more(tmp_path):
    """Bytes a pixel, of which Pillow keeps four, above what the imports take."""
    script = """
import re, sys
from pathlib import Path
from tvnet.data.photo import FRAMES, read_photo
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
read_photo(sys.argv[1])
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = peak()
picture = read_photo(sys.argv[2])
print(1024 * (peak() - before) / picture.width / picture.height)
"""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux counts the peak of a process")
    picture = Image.new("RGB", (5000, 4000), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    picture.putalpha(99)
    picture.save(tmp_path / "clear.png", compress_level=1)
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    for name in ("turned.jpg", "clear.png"):
        command = [sys.executable, "-c", script, tmp_path / "small.png", tmp_path / name]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        assert float(found.stdout) < 9, name


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("text.jpg", b"left bear\n" * 100, "is no picture of the kinds JPEG, PNG"),
        ("empty.png", b"", "is no picture of the kinds"),
        ("run.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "save it as JPEG or PNG"),
    ],
)
def test_files_that_are_no_pictures(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_photo(tmp_path / name)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tiff"])
def test_half_a_file_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    path = tmp_path / f"half.{suffix}"
    Image.fromarray(noise).save(path)
    assert read_photo(path).size == (120, 90)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=f"half.{suffix} is (damaged|no picture of the kinds)"):
        read_photo(path)


@pytest.mark.parametrize("side", [8_000, 12_000, 20_000, 2_000_000_000])
def test_a_picture_that_is_too_large_is_refused_by_its_header(tmp_path, side):
    """8,000 is below the size at which Pillow warns, 12,000 below the one that it refuses."""
    path = png_of_size(tmp_path / "large.png", side, side)
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(ValueError, match="more than the 50 million that are read: make it smaller"):
        read_photo(path)
    assert time.perf_counter() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_an_array_that_is_too_large_is_refused_before_it_is_copied():
    """A broadcast array takes one byte; its copy would take 192 MB."""
    tracemalloc.start()
    with pytest.raises(ValueError, match="The picture has 8001 x 8000 pixels, more than"):
        read_photo(np.broadcast_to(np.uint8(7), (8_000, 8_001, 3)))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # nobody writes: reading it would wait for ever
    for path in (tmp_path / "pipe.jpg", tmp_path):
        with pytest.raises(ValueError, match="is no file: name a picture"):
            read_photo(path)
    with pytest.raises(FileNotFoundError, match="There is no picture at .*a.jpg: check the path"):
        read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 2500, "a\0.jpg", ""])
def test_a_path_that_can_be_none_is_answered_briefly(tmp_path, name):
    with pytest.raises((FileNotFoundError, ValueError), match="check the path|is no file") as error:
        read_photo(name)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "image, sentence",
    [
        (RAMP.astype(np.float32), r"An array of float32 and shape \(8, 12, 3\) is no picture"),
        (RAMP.astype(np.uint16), "An array of uint16 .*: give uint8 of shape"),
        (RAMP > 7, "An array of bool"),
        (RAMP[None], r"shape \(1, 8, 12, 3\) is no picture"),
        (RAMP.transpose(2, 0, 1), r"shape \(3, 8, 12\) is no picture"),
        (RAMP[:0], r"shape \(0, 12, 3\) is no picture"),
        (RAMP[..., :2], r"shape \(8, 12, 2\) is no picture"),
        (np.array(["a"]), "An array of <U1"),
        (None, "An image of type NoneType cannot be read: give a path, a Pillow image"),
        (b"\xff\xd8", "An image of type bytes cannot be read"),
        (Image.new("RGB", (0, 4)), "The picture has 0 x 4 pixels: there is nothing to see"),
        (Image.new("F", (4, 4)), "holds floating-point numbers: convert it to 8 bits"),
        (Image.new("I", (4, 4), 1 << 20), "holds more than 16 bits a pixel"),
        (Image.new("L", (50_001, 1_000)), "has 50001 x 1000 pixels, more than the 50 million"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(image, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_photo(image)
