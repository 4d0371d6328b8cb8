"""Decoding image files: crops close to those of Pillow and torch, and errors that name the file."""

import io
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from helpers.archives import random_pixels
from helpers.photos import difference, photo, read_crop, reference_crop, save
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.errors import DataError
from bench.worker.data.crops import UNIFORMS, Crop, centre_crop, random_resized_crop
from bench.worker.data.decode import BrokenImageError, Decoder, open_rgb, pixels_of

SUBSAMPLINGS = ["4:4:4", "4:2:2", "4:2:0"]


numbers = st.lists(st.floats(0, 1, exclude_max=True), min_size=UNIFORMS, max_size=UNIFORMS)


# each example writes its own files: the folder may be the same one
examples = partial(settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    subsampling=st.sampled_from(SUBSAMPLINGS),
    size=st.integers(16, 96),
    drawn=numbers,
)
@examples(max_examples=40)
def test_decoder_gives_pixels_close_to_the_reference(
    tmp_path: Path, height: int, width: int, subsampling: str, size: int, drawn: list[float]
) -> None:
    file = save(photo(height, width), tmp_path / "a.jpg", quality=90, subsampling=subsampling)
    crop_fn = partial(random_resized_crop, size=size, numbers=drawn)
    crop = crop_fn(height, width)
    # at a lower scale some tens of pixels of the finest detail differ most; whole photos are tested below
    assert difference(read_crop(file, crop_fn, size), reference_crop(file, crop)) < (0.5 if crop.scale == 1 else 10)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_decoder_at_a_lower_scale_is_close_to_the_reference(tmp_path: Path, subsampling: str) -> None:
    file = save(photo(1100, 1500), tmp_path / "a.jpg", quality=90, subsampling=subsampling)
    crop = Crop(top=52, left=32, height=1000, width=1204, rows=224, columns=224)
    assert difference(read_crop(file, lambda *_: crop, 224), reference_crop(file, crop)) < 2


def test_decoder_without_a_lower_scale_gives_the_pixels_of_the_reference(tmp_path: Path) -> None:
    file = save(photo(375, 500), tmp_path / "a.jpg", quality=90)
    crop = Crop(top=20, left=30, height=300, width=401, rows=224, columns=224, mirrored=True)
    assert difference(read_crop(file, lambda *_: crop, 224), reference_crop(file, crop)) < 0.1


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "L", {}),
        ("a.png", "P", {}),
        ("a.png", "1", {}),
        ("a.bmp", "RGB", {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.gif", "P", {}),
        ("a.jpg", "L", {}),
        ("a.jpg", "CMYK", {}),
        ("a.jpg", "RGB", {"progressive": True}),
        ("a.jpg", "RGB", {"keep_rgb": True}),
        ("misnamed.JPEG.png", "RGB", {"format": "jpeg"}),
    ],
)
def test_decoder_gives_pillows_pixels_for_every_kind_of_image(
    tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    file = save(photo(61, 47).convert(mode), tmp_path / name, **options)
    crop = Crop(top=3, left=2, height=50, width=40, rows=32, columns=32)
    assert difference(read_crop(file, lambda *_: crop, 32), reference_crop(file, crop)) < 0.1


def test_open_rgb_keeps_the_upper_8_bits_of_16_bit_grey(tmp_path: Path) -> None:
    grey = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    file = save(Image.fromarray(grey), tmp_path / "a.png")
    crop = Crop(top=0, left=0, height=64, width=64, rows=64, columns=64)
    pixels = read_crop(file, lambda *_: crop, 64)
    assert np.array_equal(pixels, np.repeat((grey >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


GRADIENT = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16)
"""Every value of 8 bits once."""


def grey_image(mode: str) -> Image.Image:
    """The gradient in a mode of Pillow's, over the whole range of the mode."""
    if mode == "1":
        return Image.fromarray(np.where(GRADIENT > 127, 255, 0).astype(np.uint8)).convert("1", dither=Image.Dither.NONE)
    if mode.startswith("I"):
        return Image.fromarray(GRADIENT.astype(np.uint16) * 257)
    if mode in ("PA", "P"):
        palette = Image.fromarray(GRADIENT).convert("P")
        return palette.convert("PA") if mode == "PA" else palette
    return (
        Image.fromarray(GRADIENT)
        .convert(mode if mode in ("RGBA", "RGBX", "YCbCr", "CMYK", "RGB") else "L")
        .convert(mode)
    )


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "1"),
        ("a.png", "L"),
        ("a.png", "LA"),
        ("a.png", "P"),
        ("a.png", "RGB"),
        ("a.png", "RGBA"),
        ("a.png", "I;16"),
        ("a.pgm", "I;16"),
        ("a.tif", "1"),
        ("a.tif", "L"),
        ("a.tif", "LA"),
        ("a.tif", "P"),
        ("a.tif", "PA"),
        ("a.tif", "I;16"),
        ("a.tif", "CMYK"),
        pytest.param(
            *("a.tif", "YCbCr"),
            marks=pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="older Pillow refuses the file"),
        ),
        ("a.tif", "RGBX"),
        ("a.webp", "RGBA"),
        ("a.bmp", "RGBA"),
        ("a.gif", "P"),
    ],
)
def test_open_rgb_shows_a_gradient_in_every_mode_as_it_is(tmp_path: Path, name: str, mode: str) -> None:
    file = save(grey_image(mode), tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    pixels = np.asarray(open_rgb(file, file)).astype(int)
    expected = np.where(GRADIENT > 127, 255, 0) if mode == "1" else GRADIENT.astype(int)
    assert np.abs(pixels - expected[:, :, None]).max() <= 2


@pytest.mark.parametrize(("mode", "dtype"), [("F", np.float32), ("I", np.int32)])
def test_open_rgb_refuses_pixels_without_a_known_range_by_name(tmp_path: Path, mode: str, dtype: type) -> None:
    file = save(Image.fromarray((GRADIENT / 255).astype(dtype)), tmp_path / "a.tif")
    kind = {"F": "floats", "I": "integers"}[mode]
    with pytest.raises(BrokenImageError, match=rf"a\.tif .*32-bit {kind} without a known range"):
        open_rgb(file, file)


def test_open_rgb_drops_transparency_and_takes_the_first_picture_without_a_warning(tmp_path: Path) -> None:
    still = save(grey_image("P"), tmp_path / "still.png", transparency=bytes(range(256)))
    moving = tmp_path / "moving.gif"
    Image.fromarray(GRADIENT).save(moving, save_all=True, append_images=[Image.new("L", (16, 16))])
    for file in (still, moving):
        assert np.array_equal(np.asarray(open_rgb(file, file))[:, :, 0], GRADIENT)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"<html>not found</html>", "no image format that bench reads"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "no image format"),
    ],
)
def test_open_rgb_says_what_a_file_is_not_without_addresses_of_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, why: str
) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a program was started to decode an image")

    monkeypatch.setattr(subprocess, "check_call", start)
    monkeypatch.setattr(subprocess, "Popen", start)
    (tmp_path / "page.png").write_bytes(content)
    with pytest.raises(BrokenImageError, match=why) as caught:
        pixels_of(tmp_path / "page.png")
    assert "0x" not in str(caught.value)


def test_decoder_buffers_of_a_larger_image_leave_no_trace(tmp_path: Path) -> None:
    small, large = (save(photo(side, side, side), tmp_path / f"{side}.jpg") for side in (40, 300))
    used, out = Decoder(), np.zeros((32, 32, 3), dtype=np.uint8)
    crop_fn = partial(centre_crop, size=32)
    used.read(large, crop_fn, out)
    used.read(small, crop_fn, out)
    assert np.array_equal(out, read_crop(small, crop_fn, 32))


@given(share=st.floats(0, 1, exclude_max=True))
@examples(max_examples=40)
def test_decoder_refuses_a_photo_that_ends_early_and_names_it(tmp_path: Path, share: float) -> None:
    whole = save(photo(90, 120), tmp_path / "whole.jpg").read_bytes()
    file = tmp_path / "cut.jpg"
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read as an image"):
        read_crop(file, partial(centre_crop, size=32), 32)


@pytest.mark.parametrize(
    "content", [b"", b"no image at all", b"\xff\xd8\xff\xd9", b"\xff\xd8" + b"\xff\xc0\x00\x00" * 9]
)
def test_decoder_refuses_a_file_that_is_not_an_image_and_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"other\.jpg cannot be read as an image"):
        read_crop(tmp_path / "other.jpg", partial(centre_crop, size=32), 32)


def test_decoder_refuses_a_file_that_is_missing_and_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg cannot be read"):
        read_crop(tmp_path / "gone.jpg", partial(centre_crop, size=32), 32)


@given(kind=st.sampled_from(["jpeg", "png"]), damage=st.dictionaries(st.floats(0, 1), st.integers(0, 255), min_size=1))
@examples(max_examples=150)
def test_decoder_gives_pixels_or_names_a_damaged_file(tmp_path: Path, kind: str, damage: dict[float, int]) -> None:
    data = bytearray(encoded(kind))
    for place, value in damage.items():
        data[int(place * (len(data) - 1))] = value
    file = tmp_path / "damaged.jpg"
    file.write_bytes(data)
    try:
        read_crop(file, partial(centre_crop, size=32), 32)
    except DataError as error:
        assert "damaged.jpg" in str(error)  # noqa: PT017 - pixels are as good an answer


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    photo(24, 32).save(stream, kind)
    return stream.getvalue()


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    options=st.fixed_dictionaries(
        {"quality": st.integers(1, 100), "subsampling": st.integers(0, 2), "progressive": st.booleans()}
    ),
)
@settings(max_examples=60, deadline=None)
def test_pixels_of_a_jpeg_are_those_that_pillow_decodes(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, mode: str, options: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("image") / "image.jpg"
    Image.fromarray(random_pixels(height, width, 3)).convert(mode).save(path, **options)
    assert np.array_equal(pixels_of(path), np.asarray(open_rgb(path, path)))


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_pixels_of_a_jpeg_that_ends_early_is_an_error(tmp_path: Path, share: float) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(random_pixels(32, 32, 3)).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BrokenImageError, match="cannot be read as an image"):
        pixels_of(path)


def test_pixels_of_a_damaged_jpeg_are_what_pillow_makes_of_it(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(random_pixels(64, 64, 3)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)
    assert np.array_equal(pixels_of(path), np.asarray(open_rgb(path, path)))
