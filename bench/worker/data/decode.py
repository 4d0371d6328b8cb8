"""Decoding: one image file to the pixels of one view of it, and as little else as the format allows.

JPEG files are decoded by libjpeg-turbo (simplejpeg), the rest by Pillow, both without the interpreter's lock. Of a
JPEG only what the view needs is decoded:

- at a half, a quarter or an eighth of the size, where the view still has at least the pixels it is resized to: the
  decoder then computes fewer pixels per 8x8 block (a scaled DCT), which is also a better average than resizing alone;
- down to the view's last row and no further: the height in the file's header is lowered to that row's block, and the
  decoder stops there. Every pixel above is the same to the bit.

A file is broken when Pillow cannot read it. So a JPEG that ends early is broken, and one with damage inside it is not:
its pixels are what libjpeg makes of it. EXIF orientation is ignored, as torchvision's ImageFolder ignores it.

Shapes: pixels are (H, W, 3) uint8 in RGB, as decoders write them.
"""

import io
import os
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from PIL import Image

from bench.errors import DataError
from bench.worker.data.crops import Crop

Pixels = npt.NDArray[np.uint8]


class BrokenImageError(DataError):
    """A file was read and is no whole image. A file that cannot be read is a plain :class:`DataError`."""


class Member(NamedTuple):
    """An image in an archive, to be read where it is."""

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
        # to make a buffer takes as long as to read a small file
        with open(file.archive if isinstance(file, Member) else file, "rb", buffering=0) as stream:  # noqa: PTH123
            if isinstance(file, Member):
                stream.seek(file.offset)
            return stream.read(file.size if isinstance(file, Member) else -1)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error})") from error


def pixels_of(file: str | Path | Member) -> Pixels:
    """All pixels of an image file, as :func:`open_rgb` decodes them, of a JPEG without Pillow's own work.

    Raises:
        BrokenImageError: It is no whole image; the text names it.
        DataError: It cannot be read; the text names it.
    """
    data = bytes_of(file)
    if jpeg_frame(data) is not None:
        with suppress(ValueError):  # whatever libjpeg warns of is left to Pillow to judge
            pixels: Pixels = simplejpeg.decode_jpeg(data)
            return pixels
    return np.asarray(open_rgb(io.BytesIO(data), file))


Choose = Callable[[int, int], Crop]
"""Height and width of an image to the view of it."""

LARGEST = 89_000_000
"""Pixels above which a file is left to Pillow, which warns and refuses by its own limits."""
UNSPLIT = 32_000
"""Values that torch copies in the calling thread alone; larger copies start a team of threads in each caller."""
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
START_OF_SCAN = 0xDA


class Decoder:
    """Decodes for one thread; its buffers grow to the largest image seen and are used again."""

    def __init__(self) -> None:
        # memory that is new each time costs more than reading the file into it: the kernel clears each page first
        self._file, self._whole, self._part, self._resized = (np.empty(0, dtype=np.uint8) for _ in range(4))
        self.odd: Counter[str] = Counter()
        """How many odd images it has read, by kind: ``grey``, ``cmyk``, ``not_jpeg``, or another mode of Pillow's."""

    def read(self, file: Path | Member, choose: Choose, out: Pixels) -> None:
        """Write a view of an image file into ``out`` (S, S, 3).

        Resized bilinearly with antialiasing, as torchvision resizes a PIL image.

        Raises:
            BrokenImageError: It is no whole image; the text names it.
            DataError: It cannot be read; the text names it.
        """
        part, view = self._view_of(self._bytes_of(file), file, choose)
        if (view.rows, view.columns) != out.shape[:2]:
            resized = self._resized = _room(self._resized, 3 * view.rows * view.columns)
            whole = resized[: 3 * view.rows * view.columns].reshape(view.rows, view.columns, 3)
            _resize(part, whole)
            top, left = round((view.rows - len(out)) / 2), round((view.columns - out.shape[1]) / 2)
            np.copyto(out, whole[top : top + out.shape[0], left : left + out.shape[1]])
        else:
            _resize(part, out)
        if view.mirrored:
            _mirror(out)

    def _bytes_of(self, file: Path | Member) -> memoryview:
        try:
            with (file.archive if isinstance(file, Member) else file).open("rb", buffering=0) as stream:
                if isinstance(file, Member):
                    size = file.size
                    stream.seek(file.offset)
                else:
                    size = os.fstat(stream.fileno()).st_size
                self._file = _room(self._file, size)
                return self._file.data[: stream.readinto(self._file.data[:size])]
        except OSError as error:
            raise DataError(f"{file} cannot be read ({error.strerror or error})") from error

    def _view_of(self, data: memoryview, file: Path | Member, choose: Choose) -> tuple[Pixels, Crop]:
        """The pixels of the view's box, perhaps at a lower scale, in one piece."""
        frame = jpeg_frame(data)
        if frame is not None:
            view = choose(frame.height, frame.width)
            pixels = self._decode_jpeg(data, frame, bottom=view.top + view.height, scale=view.scale)
            if pixels is not None:
                if frame.grey:
                    self.odd["grey"] += 1
                return self._boxed(pixels, view, view.scale), view
        pixels = np.asarray(open_rgb(io.BytesIO(data), file, self.odd))
        view = choose(*pixels.shape[:2])
        return self._boxed(pixels, view, 1), view

    def _decode_jpeg(self, data: memoryview, frame: "Frame", *, bottom: int, scale: int) -> Pixels | None:
        """The image down to some row below ``bottom``, or None where this decoder refuses the file."""
        height = frame.rows_to(bottom)
        shape = -(-height // scale), -(-frame.width // scale)
        buffer = self._whole = _room(self._whole, 3 * shape[0] * shape[1])
        data[frame.at : frame.at + 2] = height.to_bytes(2, "big")
        try:
            # not strict: what follows the last row is then not what the header announces
            pixels: Pixels = simplejpeg.decode_jpeg(
                data, min_height=shape[0], min_width=shape[1], buffer=buffer, strict=False
            )
        except ValueError:
            return None
        finally:
            data[frame.at : frame.at + 2] = frame.height.to_bytes(2, "big")
        return pixels if pixels.shape == (*shape, 3) else None

    def _boxed(self, pixels: Pixels, view: Crop, scale: int) -> Pixels:
        """A copy of the view's box, its edges at whole pixels of the scale: outward, where they lie within one."""
        box = pixels[
            view.top // scale : -(-(view.top + view.height) // scale),
            view.left // scale : -(-(view.left + view.width) // scale),
        ]
        self._part = _room(self._part, box.size)
        part = self._part[: box.size].reshape(box.shape)
        np.copyto(part, box)
        return part


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What a JPEG's header says, as far as decoding a part needs it."""

    height: int
    width: int
    at: int
    """Where in the file the height stands, in two bytes, big-endian."""
    block: int
    """Rows of pixels that are coded together."""
    margin: int
    """Rows below a pixel that its colour is interpolated from, in whole blocks; 0 where colours are not subsampled."""
    grey: bool
    """Whether it has one channel."""
    cuttable: bool
    """Whether rows are coded from top to bottom in one scan, so that the decoder can stop at one."""

    def rows_to(self, bottom: int) -> int:
        """Rows to decode for those above ``bottom`` to be exact."""
        if not self.cuttable:
            return self.height
        return min(self.height, -(-bottom // self.block) * self.block + self.margin)


def jpeg_frame(data: bytes | memoryview) -> Frame | None:
    """Read a JPEG's header (ITU-T T.81, annex B), or return None for a file that Pillow has to look at.

    That is every file that is no JPEG, and a JPEG that ends early, is CMYK, is coded in a rarer way than baseline or
    progressive with 8 bits, or is unusually large.
    """
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        return None
    frame, components, place = None, 0, 2
    try:
        while data[place] == 0xFF:
            marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == START_OF_SCAN:
                scans_all = data[place + 4] == components
                return frame and replace(frame, cuttable=frame.cuttable and scans_all)
            if marker in (BASELINE, EXTENDED, PROGRESSIVE):
                height, width = struct.unpack_from(">HH", data, place + 5)
                components = data[place + 9]
                vertical = max(data[place + 11 + 3 * number] & 15 for number in range(components))
                if data[place + 4] != 8 or components not in (1, 3) or not 0 < height * width <= LARGEST:
                    return None
                frame = Frame(
                    height=height,
                    width=width,
                    at=place + 5,
                    block=8 * vertical,
                    margin=8 * vertical if vertical > 1 else 0,
                    grey=components == 1,
                    cuttable=marker != PROGRESSIVE and vertical > 0,
                )
            if length < 2:
                return None
            place += 2 + length
    except (IndexError, ValueError, struct.error):
        pass
    return None


def open_rgb(source: Path | io.BytesIO, file: str | Path | Member, odd: Counter[str] | None = None) -> Image.Image:
    """Decode any image by Pillow to RGB; grey of 16 bits keeps its upper 8. ``odd`` counts those that are no RGB JPEG.

    Raises:
        BrokenImageError: It cannot be read as an image; the text names ``file``.
    """
    try:
        with Image.open(source) as opened:
            opened.load()
            kind = nonstandard_kind(opened)
            if odd is not None and kind:
                odd[kind] += 1
            if opened.mode.startswith("I"):  # Pillow would clip it to white
                grey = np.asarray(opened).clip(0, 65535) >> 8
                return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
            return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BrokenImageError(f"{file} cannot be read as an image ({error}); mend or remove it") from error


def nonstandard_kind(image: Image.Image) -> str:
    """What is odd about an image, judged by its content and never by its name; empty for an RGB JPEG."""
    if image.format != "JPEG":
        return "not_jpeg"
    return {"RGB": "", "L": "grey", "CMYK": "cmyk"}.get(image.mode, image.mode.lower())


def _resize(part: Pixels, out: Pixels) -> None:
    """Resize (H, W, 3) into (S, T, 3), both in one piece, in the calling thread."""
    source, target = (torch.from_numpy(pixels).permute(2, 0, 1)[None] for pixels in (part, out))
    # the function behind interpolate(antialias=True), which itself takes no output: one allocation of the size less
    torch.ops.aten._upsample_bilinear2d_aa.out(source, list(out.shape[:2]), False, None, None, out=target)


def _mirror(out: Pixels) -> None:
    """Swap left and right of (S, S, 3), in the calling thread; numpy takes 7 times as long."""
    pixels = torch.from_numpy(out)
    for rows in torch.split(pixels, max(1, UNSPLIT // pixels[0].numel())):
        rows.copy_(rows.flip(1))


def _room(buffer: Pixels, size: int) -> Pixels:
    """The buffer, or a larger one where it has no room for ``size`` bytes."""
    return buffer if len(buffer) >= size else np.empty(size, dtype=np.uint8)
