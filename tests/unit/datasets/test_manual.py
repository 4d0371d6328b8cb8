"""Sampling and counting the images of manual downloads."""

from helpers.tiny_imagenet import (
    WNIDS,
)
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.manual import count_images, sampling_key, take_per_class
from bench.datasets.splits import WHOLE, ImageRecord


@given(
    st.permutations(
        [ImageRecord(wnid, f"{wnid}_{number}.JPEG", "x", WHOLE, 1) for wnid in WNIDS for number in range(9)]
    )
)
def test_take_per_class_does_not_depend_on_the_order_of_files(records: list[ImageRecord]) -> None:
    found = {(record.category, record.name) for record in take_per_class(records, "imagenet300", 4)}
    expected = set()
    for wnid in WNIDS:
        names = sorted(
            (f"{wnid}_{number}.JPEG" for number in range(9)), key=lambda n: sampling_key("imagenet300", wnid, n)
        )
        expected |= {(wnid, name) for name in names[:4]}
    assert found == expected


def test_the_sampling_key_is_the_sha256_of_the_documented_text() -> None:
    # sha256sum of imagenet300:n01440764/n01440764_10026.JPEG without a newline
    found = sampling_key("imagenet300", "n01440764", "n01440764_10026.JPEG").hex()
    assert found == "35d45d5afe094f5a9014bf55ee2c329d876a5e8d6b0ca855557020ed9b76a273"


def test_count_images_leaves_out_empty_files() -> None:
    records = [ImageRecord("a", "1.jpg", "a/1.jpg", WHOLE, 10), ImageRecord("a", "2.jpg", "a/2.jpg", WHOLE, 0)]
    assert count_images(records) == {"a": 1}


def test_take_per_class_keeps_the_order_and_leaves_out_empty_files() -> None:
    records = [ImageRecord("a", f"{number}.jpg", "x", WHOLE, number % 3) for number in range(9)]
    taken = list(take_per_class(records, "imagenet", 4))
    assert len(taken) == 4
    assert taken == [record for record in records if record in taken]
    assert all(record.size for record in taken)
