"""Headers of JPEG files: decoding can stop at a row and changes no pixel above it."""

from functools import partial
from pathlib import Path

import numpy as np
from helpers.photos import photo, read_crop, reference_crop, save
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.worker.data.crops import Crop
from bench.worker.data.jpeg import jpeg_frame

# each example writes its own files: the folder may be the same one
examples = partial(settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(
    height=st.integers(1, 120),
    bottom=st.floats(0, 1),
    mode=st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "L", "restarts"]),
)
@examples(max_examples=60)
def test_jpeg_frame_says_how_far_to_decode_for_exact_pixels_above_a_row(
    tmp_path: Path, height: int, bottom: float, mode: str
) -> None:
    image = photo(height, 50)
    options: dict[str, object] = {"subsampling": mode} if ":" in mode else {}
    if mode == "restarts":
        options = {"restart_marker_rows": 1}
    file = save(image.convert("L") if mode == "L" else image, tmp_path / "a.jpg", **options)
    rows = max(1, round(bottom * height))
    crop = Crop(top=0, left=0, height=rows, width=50, rows=rows, columns=rows)
    frame = jpeg_frame(file.read_bytes())
    assert frame
    assert frame.cuttable
    assert rows <= frame.rows_to(rows) <= rows + 31
    assert np.array_equal(read_crop(file, lambda *_: crop, rows), reference_crop(file, crop))


def test_jpeg_frame_says_that_a_progressive_file_cannot_be_cut(tmp_path: Path) -> None:
    file = save(photo(200, 100), tmp_path / "a.jpg", progressive=True)
    frame = jpeg_frame(file.read_bytes())
    assert frame
    assert not frame.cuttable
    crop = Crop(top=0, left=0, height=20, width=20, rows=20, columns=20)
    assert np.array_equal(read_crop(file, lambda *_: crop, 20), reference_crop(file, crop))
