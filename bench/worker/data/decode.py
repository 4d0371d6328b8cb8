"""Decode one image file to the pixels of one crop of it, and as little else as the format allows.

JPEG files are decoded by libjpeg-turbo (simplejpeg), all others by Pillow; both release the interpreter's lock. Of a
JPEG only what the crop needs is decoded:

- at 1/2, 1/4 or 1/8 of the size, where the crop still has at least the pixels that it is resized to: the decoder then
  computes fewer pixels per 8x8 block (a scaled DCT), which also averages better than resizing alone;
- down to the crop's last row: the height in the file's header is lowered to that row's block, and the decoder stops
  there. Every pixel above is the same to the bit. See :mod:`bench.worker.data.jpeg`.

A file is broken if Pillow cannot read it. So a JPEG that ends early is broken, and one with damage inside is not: its
pixels are what libjpeg makes of it. Files are decoded by content, not by extension. EXIF orientation is ignored, as
torchvision's ImageFolder ignores it.

Longer than other files, so that all that decides an image's pixels stands together, and both decoders refuse alike.

Shapes: pixels are (H, W, 3) uint8 in RGB, as decoders write them.
"""

import io
import os
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from PIL import Image, UnidentifiedImageError

from bench.datasets.reading import raster_formats
from bench.errors import DataError
from bench.worker.data import jpeg
from bench.worker.data.crops import Crop

Pixels = npt.NDArray[np.uint8]

CropFn = Callable[[int, int], Crop]
"""From the height and width of an image to the crop of it."""

SCALED_TO_16_BITS = ("PNG", "PPM")
"""Formats whose grey values Pillow may hand out as 32-bit integers of 0 to 65,535."""

MAX_NAMED = 1000
"""Broken images that one message names."""

IMAGE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error)
"""What Pillow's decoders raise for files that are damaged or of another kind than they say."""

MAX_UNSPLIT_COPY = 32_000
"""Values that torch copies in the calling thread alone; larger copies start a team of threads in each caller."""


class BrokenImageError(DataError):
    """The file was read but is not a whole image. A file that cannot be read is a plain :class:`DataError`."""


class Member(NamedTuple):
    """An image inside an uncompressed archive, read in place."""

    archive: Path
    name: str
    offset: int
    """Byte at which it begins."""
    size: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.name} in {self.archive}"


def bytes_of(file: str | Path | Member) -> bytes:
    """The whole content of an image file, or of one in an archive.

    Raises:
        DataError: It cannot be read; the text names it.
    """
    try:
        # unbuffered: allocating a buffer takes as long as reading a small file
        with open(file.archive if isinstance(file, Member) else file, "rb", buffering=0) as stream:  # noqa: PTH123
            if isinstance(file, Member):
                stream.seek(file.offset)
            return stream.read(file.size if isinstance(file, Member) else -1)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error})") from error


def pixels_of(file: str | Path | Member) -> Pixels:
    """All pixels of an image file, as :func:`open_rgb` decodes them; a JPEG skips Pillow, which is slower.

    Raises:
        BrokenImageError: It is not a whole image; the text names it.
        DataError: It cannot be read; the text names it.
    """
    data = bytes_of(file)
    if jpeg.jpeg_frame(data) is not None:
        with suppress(ValueError):  # Pillow judges whatever libjpeg warns about
            pixels: Pixels = simplejpeg.decode_jpeg(data)
            return pixels
    return np.asarray(open_rgb(io.BytesIO(data), file))


class Decoder:
    """Decodes in one thread. Its buffers grow to the largest image seen and are reused."""

    def __init__(self) -> None:
        # fresh memory costs more than reading the file into it, because the kernel zeroes every new page
        self._file, self._whole, self._box, self._resized = (np.empty(0, dtype=np.uint8) for _ in range(4))
        self.nonstandard: Counter[str] = Counter()
        """How many non-standard images were read, by kind; see :func:`nonstandard_kind`."""

    def read(self, file: Path | Member, crop_fn: CropFn, out: Pixels) -> None:
        """Write a crop of an image file into ``out`` (S, S, 3).

        Resized bilinearly with antialiasing, as torchvision resizes a PIL image.

        Raises:
            BrokenImageError: It is not a whole image; the text names it.
            DataError: It cannot be read; the text names it.
        """
        box, crop = self._decode(self._bytes_of(file), file, crop_fn)
        if crop.exact:
            np.copyto(out, resized_centre(box, len(out), min(crop.rows, crop.columns)))
        elif (crop.rows, crop.columns) != out.shape[:2]:
            resized = self._resized = _grown(self._resized, 3 * crop.rows * crop.columns)
            whole = resized[: 3 * crop.rows * crop.columns].reshape(crop.rows, crop.columns, 3)
            _resize(box, whole)
            top, left = round((crop.rows - len(out)) / 2), round((crop.columns - out.shape[1]) / 2)
            np.copyto(out, whole[top : top + out.shape[0], left : left + out.shape[1]])
        else:
            _resize(box, out)
        if crop.mirrored:
            _mirror(out)

    def _bytes_of(self, file: Path | Member) -> memoryview:
        """As :func:`bytes_of`, into this decoder's buffer."""
        try:
            with (file.archive if isinstance(file, Member) else file).open("rb", buffering=0) as stream:
                if isinstance(file, Member):
                    size = file.size
                    stream.seek(file.offset)
                else:
                    size = os.fstat(stream.fileno()).st_size
                self._file = _grown(self._file, size)
                return self._file.data[: stream.readinto(self._file.data[:size])]
        except OSError as error:
            raise DataError(f"{file} cannot be read ({error.strerror or error})") from error

    def _decode(self, data: memoryview, file: Path | Member, crop_fn: CropFn) -> tuple[Pixels, Crop]:
        """The pixels of the crop's box, contiguous, possibly at a lower scale."""
        frame = jpeg.jpeg_frame(data)
        if frame is not None:
            crop = crop_fn(frame.height, frame.width)
            pixels = self._decode_jpeg(data, frame, bottom=crop.top + crop.height, scale=crop.scale)
            if pixels is not None:
                if frame.grey:
                    self.nonstandard["grey"] += 1
                return self._copy_of_box(pixels, crop, crop.scale), crop
        pixels = np.asarray(open_rgb(io.BytesIO(data), file, self.nonstandard))
        crop = crop_fn(*pixels.shape[:2])
        return self._copy_of_box(pixels, crop, 1), crop

    def _decode_jpeg(self, data: memoryview, frame: jpeg.Frame, *, bottom: int, scale: int) -> Pixels | None:
        """The image down to some row below ``bottom``, or None if this decoder refuses the file."""
        height = frame.rows_to(bottom)
        shape = -(-height // scale), -(-frame.width // scale)
        buffer = self._whole = _grown(self._whole, 3 * shape[0] * shape[1])
        data[frame.at : frame.at + 2] = height.to_bytes(2, "big")
        try:
            # not strict: the data after the last row is not what the edited header announces
            pixels: Pixels = simplejpeg.decode_jpeg(
                data, min_height=shape[0], min_width=shape[1], buffer=buffer, strict=False
            )
        except ValueError:
            return None
        finally:  # Pillow may have to read the same bytes next
            data[frame.at : frame.at + 2] = frame.height.to_bytes(2, "big")
        return pixels if pixels.shape == (*shape, 3) else None

    def _copy_of_box(self, pixels: Pixels, crop: Crop, scale: int) -> Pixels:
        """A contiguous copy of the crop's box; edges that fall inside a pixel of the scale move outward."""
        box = pixels[
            crop.top // scale : -(-(crop.top + crop.height) // scale),
            crop.left // scale : -(-(crop.left + crop.width) // scale),
        ]
        self._box = _grown(self._box, box.size)
        copied = self._box[: box.size].reshape(box.shape)
        np.copyto(copied, box)
        return copied


def open_rgb(
    source: Path | io.BytesIO, file: str | Path | Member, nonstandard: Counter[str] | None = None
) -> Image.Image:
    """Decode any raster image by Pillow to RGB. ``nonstandard`` counts by kind.

    16-bit grey keeps its upper 8 bits, of an animation the first picture is taken, transparency is dropped.

    Raises:
        BrokenImageError: It cannot be read as an image; the text names ``file``.
    """
    try:
        with Image.open(source, formats=raster_formats()) as opened:
            opened.load()
            kind = nonstandard_kind(opened)
            if nonstandard is not None and kind:
                nonstandard[kind] += 1
            return _as_rgb(opened)
    except (*IMAGE_ERRORS, Image.DecompressionBombError) as error:
        raise BrokenImageError(
            f"{file} cannot be read as an image ({_why(error, source)}); repair or remove it"
        ) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode of Pillow's as RGB.

    Raises:
        ValueError: Its values have no known range, or its colours cannot be converted.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in SCALED_TO_16_BITS):
        grey = np.asarray(image).clip(0, 65535) >> 8  # Pillow would clip it to white
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):  # Pillow would clip 0..1 to black, and 0..65535 to white
        raise ValueError(f"its pixels are 32-bit {'integers' if image.mode == 'I' else 'floats'} without a known range")
    if image.mode == "RGBa" or (image.mode == "P" and "transparency" in image.info):
        image = image.convert("RGBA")  # the one way for the first; for the other without a warning from Pillow
    return image.convert("RGB")


def _why(error: Exception, source: Path | io.BytesIO) -> str:
    """The cause in words, without the addresses of objects."""
    if isinstance(source, io.BytesIO) and not source.getbuffer().nbytes:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "its content has no image format that bench reads"
    return str(error) or type(error).__name__


def broken_images(problems: Sequence[str], where: object) -> DataError:
    """One error for all images that cannot be read."""
    if len(problems) == 1:
        return DataError(problems[0])
    listed = "".join(f"\n  {problem}" for problem in problems[:MAX_NAMED])
    more = f"\n  and {len(problems) - MAX_NAMED:,} more" if len(problems) > MAX_NAMED else ""
    return DataError(f"{len(problems):,} images of {where} cannot be read:{listed}{more}")


def resized_centre(pixels: Pixels, size: int, resize: int) -> Pixels:
    """The centre (size, size, 3) of an image (H, W, 3) whose shorter side is resized by Pillow to ``resize``.

    Bilinear, with antialiasing.
    """
    if min(pixels.shape[:2]) != resize:
        image = Image.fromarray(pixels)
        scale = resize / min(image.size)
        width, height = (max(resize, round(side * scale)) for side in image.size)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    top, left = ((side - size) // 2 for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def nonstandard_kind(image: Image.Image) -> str:
    """``grey``, ``cmyk``, ``not_jpeg`` or another mode of Pillow, judged by content; empty for an RGB JPEG."""
    if image.format != "JPEG":
        return "not_jpeg"
    return {"RGB": "", "L": "grey", "CMYK": "cmyk"}.get(image.mode, image.mode.lower())


def _resize(box: Pixels, out: Pixels) -> None:
    """Resize (H, W, 3) into (S, T, 3), both contiguous, in the calling thread."""
    source, target = (torch.from_numpy(pixels).permute(2, 0, 1)[None] for pixels in (box, out))
    # the function behind interpolate(antialias=True), which has no out argument: saves one allocation per image
    torch.ops.aten._upsample_bilinear2d_aa.out(source, list(out.shape[:2]), False, None, None, out=target)


def _mirror(out: Pixels) -> None:
    """Swap left and right of (S, S, 3), in the calling thread; numpy takes 7 times as long."""
    pixels = torch.from_numpy(out)
    for rows in torch.split(pixels, max(1, MAX_UNSPLIT_COPY // pixels[0].numel())):
        rows.copy_(rows.flip(1))


def _grown(buffer: Pixels, size: int) -> Pixels:
    """The buffer, or a larger one if it has less than ``size`` bytes."""
    return buffer if len(buffer) >= size else np.empty(size, dtype=np.uint8)
