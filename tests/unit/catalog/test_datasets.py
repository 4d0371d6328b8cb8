"""The catalog of data sets is complete and consistent."""

from bench.catalog.datasets import DATASETS


def test_the_catalogs_published_checksums_are_complete() -> None:
    for name, spec in DATASETS.items():
        for archive in (file for files in spec.archive_sets for file in files):
            assert archive.md5 or archive.sha256, f"{name} {archive.name}"
            assert len(archive.md5) in (0, 32)
            assert len(archive.sha256) in (0, 64)
            assert all(url.partition("?")[0].endswith(archive.name) for url in archive.urls)
        names = [file.name for files in spec.archive_sets for file in files]
        assert len(names) == len(set(names)), name


def test_the_classes_of_the_cifars_are_sorted_as_folders_are() -> None:
    for name in ("cifar10", "cifar100"):
        assert list(DATASETS[name].classes) == sorted(DATASETS[name].classes)
        assert len(set(DATASETS[name].classes)) == DATASETS[name].num_classes


def test_a_data_set_has_either_a_loader_or_a_finder_and_a_way_to_get_it() -> None:
    for name, spec in DATASETS.items():
        assert bool(spec.loader) != bool(spec.finder), name
        assert spec.archives or spec.instructions or name == "digits", name


def test_an_archive_prefers_the_stronger_checksum() -> None:
    [archive] = DATASETS["cifar10"].archives
    assert archive.checksum == f"sha256:{archive.sha256}"
    assert DATASETS["fashion_mnist"].archives[0].checksum.startswith("md5:")
