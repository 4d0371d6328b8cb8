"""Read the few header fields of a JPEG that let :mod:`bench.worker.data.decode` stop at a row.

Why by hand: a random crop often ends well above the bottom of a photo, and libjpeg decodes rows from the top. Lowering
the height in the header makes the decoder stop there, but the wrappers of libjpeg tell neither where that field is nor
how many rows are coded together. ``python tests/benchmarks/decoding.py`` measures what stopping early gains.

Nothing here decodes a pixel or opens a file.
"""

import struct
from dataclasses import dataclass, replace

MAX_PIXELS = 89_000_000
"""A larger image is left to Pillow, which warns and refuses by its own limits."""
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
START_OF_SCAN = 0xDA


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The header fields that decoding a part of a JPEG needs."""

    height: int
    width: int
    at: int
    """Offset of the height in the file: two bytes, big-endian."""
    block: int
    """Rows of pixels that are coded together."""
    margin: int
    """Rows below a pixel that its colour is interpolated from, in whole blocks; 0 where colours are not subsampled."""
    grey: bool
    """Whether it has one channel."""
    cuttable: bool
    """Whether rows are coded from top to bottom in one scan, so that the decoder can stop at one."""

    def rows_to(self, bottom: int) -> int:
        """Rows to decode so that those above ``bottom`` are exact."""
        if not self.cuttable:
            return self.height
        return min(self.height, -(-bottom // self.block) * self.block + self.margin)


def jpeg_frame(data: bytes | memoryview) -> Frame | None:
    """Parse a JPEG's header (ITU-T T.81, annex B), or return None for a file that only Pillow can judge.

    None means: not a JPEG, or one that ends early, is CMYK, uses a rarer coding than baseline or progressive with 8
    bits, or has more than ``MAX_PIXELS``.
    """
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        return None
    frame, components, place = None, 0, 2
    try:
        while data[place] == 0xFF:
            marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == START_OF_SCAN:
                one_scan = data[place + 4] == components
                return frame and replace(frame, cuttable=frame.cuttable and one_scan)
            if marker in (BASELINE, EXTENDED, PROGRESSIVE):
                components = data[place + 9]
                if (frame := _frame(data, place, marker, components)) is None:
                    return None
            if length < 2:  # a segment counts its own length field: less would loop for ever
                return None
            place += 2 + length
    except (IndexError, ValueError, struct.error):
        pass
    return None


def _frame(data: bytes | memoryview, place: int, marker: int, components: int) -> Frame | None:
    """Parse the start-of-frame segment at ``place``; None if the image is not an ordinary one.

    Raises:
        IndexError, ValueError, struct.error: The file ends within the segment, or it names no component.
    """
    height, width = struct.unpack_from(">HH", data, place + 5)
    # the sampling factors of a component are two half-bytes, the second is vertical
    vertical = max(data[place + 11 + 3 * number] & 15 for number in range(components))
    if data[place + 4] != 8 or components not in (1, 3) or not 0 < height * width <= MAX_PIXELS:
        return None
    return Frame(
        height=height,
        width=width,
        at=place + 5,
        block=8 * vertical,
        margin=8 * vertical if vertical > 1 else 0,
        grey=components == 1,
        cuttable=marker != PROGRESSIVE and vertical > 0,
    )
