"""The suites that come with bench."""

import hashlib
from pathlib import Path

import pytest

from bench.suite import load_suite

SUITES = Path(__file__).parents[3] / "suites"
CIFAR10 = (
    "vgg11 vgg11_bn resnet18 resnet34 resnet50 resnext29_32x4d resnext29_2x64d densenet121 mnasnet0_5"
    " shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 mobilenet_v2 efficientnet_b0 efficientnet_b1"
    " efficientnet_b2 efficientnet_b3"
)
CIFAR100 = (
    "resnet18 resnet34 resnet50 resnet101 densenet121 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5"
    " mobilenet_v2 mobilenet_v3_large efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b7"
)
IMAGENET300 = "resnet18 resnet34 resnet50 resnet101 densenet121 shufflenet_v2_x0_5 mobilenet_v2 efficientnet_b0"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("cifar10", CIFAR10),
        ("cifar10-standard", CIFAR10),
        ("cifar100", CIFAR100),
        ("imagenet300", IMAGENET300),
        ("imagenet", IMAGENET300 + " mobilenet_v3_large"),
    ],
)
def test_a_suite_has_every_row_of_the_table_it_replaces(name: str, rows: str) -> None:
    suite = load_suite(str(SUITES / f"{name}.yaml"))
    assert {cell.model for cell in suite.cells} == set(rows.split())
    assert suite.name == name


def test_the_two_cifar10_suites_differ_in_their_stems() -> None:
    small = load_suite(str(SUITES / "cifar10.yaml"))
    standard = load_suite(str(SUITES / "cifar10-standard.yaml"))
    assert {cell.recipe.stem for cell in small.cells} == {"small"}
    assert {cell.model for cell in standard.cells if cell.recipe.stem == "small"} == {
        "resnext29_32x4d",
        "resnext29_2x64d",
    }


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_suite_loads_and_says_what_it_is(path: Path) -> None:
    suite = load_suite(str(path))
    assert suite.name == path.stem
    assert suite.description
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=suite.schema.json\n# ")
    assert "# Time" in text


IDS = {
    "cifar10": (34, "6f8692569a74", "10193bd1fcafc2a4"),
    "cifar10-cpu": (4, "2230bde8948c", "e2359af6fab5f858"),
    "cifar10-fast": (17, "51b508f05b65", "df4a6cf4ea2b9989"),
    "cifar10-jpeg": (6, "eba8764dd2dc", "5b1552abc5e3e216"),
    "cifar10-standard": (34, "bfd135ffe56a", "853fb9d38524896b"),
    "cifar100": (30, "95f7427913d5", "3d31bce52778d360"),
    "clothing1m": (3, "723977a1fea1", "78ceebed7033aaa9"),
    "digits": (8, "0507f1faddfa", "53e11f458820e7d5"),
    "imagenet": (9, "f4db78f1e1a2", "a2769b491c810135"),
    "imagenet300": (8, "c68fa5f8754b", "c03d149c8d9dbe23"),
    "schedules": (12, "c4a36fd9eee4", "8e142f06b4a23e50"),
}
"""Suite -> number of cells, id of the first, digest of all ids; results on disk and in stores are found by them."""


@pytest.mark.parametrize("name", IDS)
def test_the_ids_of_a_shipped_suite_never_change(name: str) -> None:
    ids = [cell.id for cell in load_suite(str(SUITES / f"{name}.yaml")).cells]
    digest = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:16]
    assert (len(ids), ids[0], digest) == IDS[name]
