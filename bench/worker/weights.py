"""The weights of a trained net as a file that says of which net they are, and what that net takes and gives.

Written by :mod:`bench.worker.results`, read by :mod:`bench.worker.load`. It is a safetensors file; what it says is in
its metadata, which the ``safetensors`` package of any program reads.

========== =====================================================================================
key        value, a text
========== =====================================================================================
cell       the cell's id
model      the net's name in a suite
stem       ``small`` or ``standard``: the same names of weights mean two nets
dataset    the data set's name in a suite
classes    JSON list of the classes' names in the order of the scores; "" stands for one without
input_size height and width of the images in pixels
mean       JSON list, per channel, of pixels scaled to 0..1: ``(pixel / 255 - mean) / deviation``
deviation  JSON list, the same
========== =====================================================================================
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from safetensors.torch import save
from torch import Tensor, nn

from bench.values import Cell, from_dict
from bench.worker.data.batches import Normalise
from bench.worker.data.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class NetCard:
    """What a trained net is, takes and gives."""

    cell: str
    """Id of the cell that it was trained as."""
    model: str
    stem: str
    dataset: str
    classes: tuple[str, ...]
    """In the order of the net's scores."""
    input_size: int
    """Height and width in pixels."""
    mean: tuple[float, ...]
    """Per channel, of pixels scaled to 0..1."""
    deviation: tuple[float, ...]
    """Per channel, the same."""

    def normalise(self, images: Tensor) -> Tensor:
        """Images (N, C, S, S) uint8 of the data set's channels as the net takes them: (N, 3, S, S) float32."""
        return Normalise(self.mean, self.deviation, images.device)(images)


def make_card(cell: Cell, data: Dataset) -> NetCard:
    """The card of a cell's net."""
    unnamed = data.num_classes - len(data.classes)
    return NetCard(
        cell=cell.id,
        model=cell.model,
        stem=cell.recipe.stem,
        dataset=cell.dataset,
        classes=(*data.classes, *[""] * unnamed),
        input_size=cell.recipe.input_size,
        mean=tuple(data.mean),
        deviation=tuple(data.std),
    )


def serialise_weights(net: nn.Module, card: NetCard) -> bytes:
    """The net's parameters and buffers as a safetensors file; equal weights give equal bytes."""
    # contiguous: safetensors stores no strides, and weights on a device may be in channels_last
    weights = {name: value.detach().clone().contiguous().cpu() for name, value in net.state_dict().items()}
    return with_metadata(save(weights), card_texts(card))


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with metadata: the package writes several keys in any order, so digests would differ."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps({"__metadata__": metadata, **json.loads(content[8 : 8 + size])}, separators=(",", ":"))
    aligned = header.encode() + b" " * (-len(header) % 8)
    return b"".join((len(aligned).to_bytes(8, "little"), aligned, memoryview(content)[8 + size :]))


def read_card(metadata: Mapping[str, str]) -> NetCard | None:
    """The card in a file's metadata; None for files of older versions, which hold the cell's id only."""
    try:
        parsed = {key: json.loads(metadata[key]) for key in ("classes", "input_size", "mean", "deviation")}
        texts = {key: metadata[key] for key in ("cell", "model", "stem", "dataset")}
        return from_dict(NetCard, {**texts, **parsed})
    except (KeyError, ValueError, TypeError):
        return None


def card_texts(card: NetCard) -> dict[str, str]:
    """A card as the metadata of a file: texts by key."""
    # a name of a folder need not be valid text, and a JSON parser may refuse half a character
    return {
        key: (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        .encode("utf-8", "replace")
        .decode()
        for key, value in vars(card).items()
    }
