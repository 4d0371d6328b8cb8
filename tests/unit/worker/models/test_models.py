"""The nets: small stems against published figures, standard stems against torchvision's own metadata."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.shufflenetv2 import channel_shuffle

from bench.catalog.models import MODELS, model_stems
from bench.errors import ModelError
from bench.worker import models
from bench.worker.measure import measure
from bench.worker.models.shufflenet import shuffle

PUBLISHED = {
    # name: params and conv+linear MACs in millions as printed, None where not published
    # chenyaofo/pytorch-cifar-models
    "vgg11_bn": ("9.76", "153.29"),
    "vgg13_bn": ("9.94", "228.79"),
    "vgg16_bn": ("15.25", "313.73"),
    "vgg19_bn": ("20.57", "398.66"),
    "mobilenet_v2": ("2.24", "87.98"),
    "shufflenet_v2_x0_5": ("0.35", "10.90"),
    "shufflenet_v2_x1_0": ("1.26", "45.00"),
    "shufflenet_v2_x1_5": ("2.49", "94.26"),
    "shufflenet_v2_x2_0": ("5.37", "187.81"),
    # mmpretrain and huyvnphan/PyTorch_CIFAR10
    "resnet18": ("11.174", "555.4"),
    "resnet34": ("21.282", None),
    "resnet50": ("23.521", None),
    "resnet101": ("42.51", None),
    "resnet152": ("58.16", None),
    "densenet121": ("6.956", None),
    "densenet161": ("26.483", None),
    "densenet169": ("12.493", None),
}
STANDARD = [
    "vgg11",
    "vgg11_bn",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "densenet121",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "efficientnet_b0",
]
LARGER_CROPS = [f"efficientnet_b{number}" for number in range(1, 8)]
SMALL = [name for name in MODELS if "small" in model_stems(name)]


def printed(millions: float, like: str) -> str:
    """A figure with as many digits as a published one."""
    return f"{millions:.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_small_stems_have_the_published_params_and_macs(name: str) -> None:
    params, macs = PUBLISHED[name]
    cost = measure(name, stem="small", input_size=32, num_classes=10)
    assert printed(cost.params / 1e6, params) == params
    if macs is not None:
        assert printed((cost.conv_linear_macs or 0) / 1e6, macs) == macs


@pytest.mark.parametrize("name", ["mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"])
def test_small_stems_of_inverted_residuals_have_torchs_default_momentum_of_batch_norm(name: str) -> None:
    net = models.build(name, stem="small", num_classes=10, input_size=32)
    assert {layer.momentum for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)} == {0.1}


@pytest.mark.parametrize("name", [*STANDARD, *(pytest.param(each, marks=pytest.mark.slow) for each in LARGER_CROPS)])
def test_standard_stems_have_the_params_and_macs_of_torchvisions_metadata(name: str) -> None:
    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    crop = weights.transforms().crop_size[0]
    cost = measure(name, stem="standard", input_size=crop, num_classes=1000)
    assert cost.params == weights.meta["num_params"]
    assert (cost.conv_linear_macs or 0) / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.0006)


@pytest.mark.parametrize(("name", "params"), [("resnext29_8x64d", 34.4), ("resnext29_16x64d", 68.1)])
def test_resnext29_is_the_papers_net(name: str, params: float) -> None:
    from bench.worker.models.resnext import small

    millions = sum(parameter.numel() for parameter in small(name, 10).parameters()) / 1e6
    assert millions == pytest.approx(params, abs=0.1), "Xie et al. 2017, table 7"


@pytest.mark.parametrize("name", ["resnext29_32x4d", "resnext29_2x64d", "mnasnet0_5", "mobilenet_v3_large", "vgg11"])
def test_both_counters_agree_on_small_stems(name: str) -> None:
    assert measure(name, stem="small", input_size=32, num_classes=10).agrees


def test_the_catalog_has_every_classifier_of_torchvision() -> None:
    assert set(MODELS) == {
        *torchvision.models.list_models(module=torchvision.models),
        "resnext29_32x4d",
        "resnext29_2x64d",
    }


@pytest.mark.parametrize(
    "name", [name for name in SMALL if not name.startswith(("vgg", "resnext101", "wide", "dense"))][::3]
)
def test_small_stems_take_images_of_8_pixels(name: str) -> None:
    net = models.build(name, stem="small", num_classes=7, input_size=32).eval()
    with torch.no_grad():
        assert net(torch.randn(2, 3, 8, 8)).shape == (2, 7)


@pytest.mark.parametrize(
    "name", ["resnet18", "vgg11", "densenet121", "mobilenet_v3_small", "efficientnet_b0", "resnext29_2x64d"]
)
def test_small_stems_learn_through_every_parameter(name: str) -> None:
    net = models.build(name, stem="small", num_classes=7, input_size=32)
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("size", [28, 64])
def test_small_vgg_takes_images_up_to_64_pixels(size: int) -> None:
    net = models.build("vgg11", stem="small", num_classes=7, input_size=size).eval()
    with torch.no_grad():
        assert net(torch.randn(2, 3, size, size)).shape == (2, 7)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["vit_b_32", "timm/vit_tiny_patch16_224"])
def test_a_net_of_one_image_size_is_built_for_the_size_that_is_trained_at(name: str) -> None:
    net = models.build(name, stem="standard", num_classes=7, input_size=64).eval()
    with torch.no_grad():
        assert net(torch.randn(2, 3, 64, 64)).shape == (2, 7)


USER_MODEL = """
from torch import nn


def net(num_classes):
    return nn.Linear(4, num_classes)


def broken(num_classes):
    raise ValueError("no such luck")


def number(num_classes):
    return num_classes
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(USER_MODEL)
    return path


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("broken", "could not be built: ValueError: no such luck"),
        ("number", "returned int, not a torch.nn.Module"),
        ("nett", "did you mean 'net'?"),
    ],
)
def test_build_says_why_a_file_gives_no_net(user_file: Path, function: str, sentence: str) -> None:
    with pytest.raises(ModelError) as caught:
        models.build(f"{user_file}:{function}", stem="standard", num_classes=5, input_size=32)
    assert sentence in str(caught.value)


def test_build_gives_the_same_weights_for_the_same_seed() -> None:
    nets = []
    for _ in range(2):
        torch.manual_seed(3)
        nets.append(models.build("shufflenet_v2_x0_5", stem="small", num_classes=10, input_size=32).state_dict())
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())


@pytest.mark.parametrize(
    "memory_format", [torch.channels_last, torch.contiguous_format], ids=["channels_last", "contiguous"]
)
def test_shuffle_moves_channels_as_torchvision_and_keeps_the_memory_format(memory_format: torch.memory_format) -> None:
    images = torch.randn(3, 8, 5, 4).contiguous(memory_format=memory_format)
    shuffled = shuffle(images)
    assert torch.equal(shuffled, channel_shuffle(images, 2))
    assert shuffled.is_contiguous(memory_format=memory_format)


def test_a_shufflenet_is_torchvisions_net_with_torchvisions_weights() -> None:
    nets = []
    for make in (
        partial(models.build, "shufflenet_v2_x0_5", stem="standard", input_size=32),
        torchvision.models.shufflenet_v2_x0_5,
    ):
        torch.manual_seed(0)
        nets.append(make(num_classes=10))
    ours, theirs = nets
    images = torch.randn(4, 3, 32, 32)
    scores = [net(images) for net in nets]
    torch.testing.assert_close(scores[0], scores[1])  # another memory format rounds differently on some processors
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for score in scores:
        score.square().sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-3)
