"""The catalog of data sets."""

from bench.catalog.datasets import DATASETS


def test_published_checksums_are_whole() -> None:
    for name, spec in DATASETS.items():
        for archive in (each for group in (spec.archives, *spec.alternatives) for each in group):
            assert archive.md5 or archive.sha256, f"{name} {archive.name}"
            assert len(archive.md5) in (0, 32)
            assert len(archive.sha256) in (0, 64)
            assert all(url.partition("?")[0].endswith(archive.name) for url in archive.urls)
        names = [each.name for group in (spec.archives, *spec.alternatives) for each in group]
        assert len(names) == len(set(names)), name


def test_classes_of_the_cifars_are_sorted_as_folders_are() -> None:
    for name in ("cifar10", "cifar100"):
        assert list(DATASETS[name].classes) == sorted(DATASETS[name].classes)
        assert len(set(DATASETS[name].classes)) == DATASETS[name].num_classes
