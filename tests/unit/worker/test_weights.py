"""The weights of a trained net as a file that says what they are of."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load
from torch import nn

from bench.worker.weights import NetCard, read_card, serialise_weights

CARD = NetCard(
    cell="0123456789ab",
    model="resnet18",
    stem="small",
    dataset="folder:/photos",
    classes=("a|b", "\u00fc \u202e</script>", ""),
    input_size=32,
    mean=(0.5, 0.25, 1 / 3),
    deviation=(0.1, 0.2, 0.3),
)


def test_equal_weights_give_equal_bytes() -> None:
    net = nn.Linear(2, 2)
    assert len({serialise_weights(net, CARD) for _ in range(20)}) == 1


def test_weights_in_any_layout_come_back() -> None:
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    weights = load(serialise_weights(net, CARD))
    assert torch.equal(weights["weight"], net.weight.detach())


def test_any_program_reads_what_the_weights_are_of(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(serialise_weights(nn.Linear(2, 3), CARD))
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        metadata = file.metadata()
        assert file.get_tensor("weight").shape == (3, 2)
    assert (metadata["model"], metadata["stem"], metadata["input_size"]) == ("resnet18", "small", "32")
    assert json.loads(metadata["classes"]) == list(CARD.classes)
    assert read_card(metadata) == CARD


def test_a_name_that_is_no_text_leaves_a_file_that_loads() -> None:
    card = NetCard(**{**vars(CARD), "classes": ("caf\udce9", "b")})
    assert load(serialise_weights(nn.Linear(1, 1), card)).keys() == {"weight", "bias"}


def test_a_file_of_an_older_version_has_no_card() -> None:
    assert read_card({"cell": "0123456789ab"}) is None


def test_images_are_normalised_as_in_training() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    card = NetCard(**{**vars(CARD), "mean": (0.5,), "deviation": (0.25,)})
    assert torch.allclose(card.normalise(images)[:, :, 0, 0], torch.tensor([[-2.0] * 3, [2.0] * 3]))
