"""Small class folders of one-coloured images."""

from pathlib import Path

from PIL import Image


def picture(path: Path, size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def image_tree(root: Path) -> Path:
    for part in ("train", "val"):
        for label, name in enumerate(("ant", "bee")):
            for number in range(2):
                picture(root / part / name / f"{number}.png", (12, 8), (label, number, 9))
    return root


def paint(path: Path, colour: int, size: tuple[int, int] = (8, 8)) -> None:
    picture(path, size, (colour, 0, 0))


def pets_tree(root: Path) -> Path:
    """A tree in which one cat is there twice, one is in the test split too, and one dog is a cat."""
    for name, colour in {
        "train/cat/1.png": 1,
        "train/cat/2.png": 2,
        "train/cat/2-again.bmp": 2,
        "train/dog/3.png": 3,
        "train/dog/1-as-dog.png": 1,
        "test/cat/2.png": 2,
        "test/cat/5.png": 5,
        "test/dog/6.png": 6,
    }.items():
        paint(root / name, colour)
    return root
