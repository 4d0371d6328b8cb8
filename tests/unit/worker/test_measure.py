"""Params and FLOPs against figures that are known otherwise; nets' own figures are in models/test_models.py."""

from pathlib import Path

import pytest
import torch
from torch import nn

from bench.errors import ModelError
from bench.worker.measure import count, measure, trainable

PADDED = """
from torch import nn


class Padded(nn.Conv2d):
    def forward(self, images):
        return super().forward(nn.functional.pad(images, (1, 1, 1, 1)))


def net(num_classes):
    return nn.Sequential(Padded(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))
"""


class TestMeasure:
    def test_an_input_that_is_too_small_is_a_sentence(self) -> None:
        with pytest.raises(ModelError, match=r"alexnet could not be run on 8x8 .*; another input_size may work"):
            measure("alexnet", stem="standard", input_size=8, num_classes=10)

    @pytest.mark.filterwarnings("ignore::FutureWarning")
    def test_fused_attention_is_counted(self) -> None:
        cost = measure("timm/vit_small_patch16_224", stem="standard", input_size=224, num_classes=1000)
        assert (cost.flops or 0) / 1e9 == pytest.approx(4.61, abs=0.01)
        assert cost.agrees

    def test_a_batch_normalisation_is_part_of_flops_but_not_of_conv_and_linear(self) -> None:
        plain = measure("vgg11", stem="small", input_size=32, num_classes=10)
        normalised = measure("vgg11_bn", stem="small", input_size=32, num_classes=10)
        assert plain.conv_linear_macs == normalised.conv_linear_macs
        assert (normalised.flops or 0) > (plain.flops or 0)

    def test_an_operator_that_neither_counter_knows_is_listed(self) -> None:
        class Fourier(torch.nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                spectrum: torch.Tensor = torch.fft.fft2(images)
                return spectrum.real.mean((1, 2, 3))

        assert "aten::fft_fft2 x 1" in count(Fourier(), torch.zeros(1, 3, 8, 8)).uncounted

    def test_measuring_changes_no_random_number_that_follows(self) -> None:
        torch.manual_seed(1)
        expected = torch.rand(3)
        torch.manual_seed(1)
        measure("squeezenet1_1", stem="standard", input_size=64, num_classes=10)
        assert torch.equal(torch.rand(3), expected)

    def test_a_net_of_a_file_is_counted_through_a_subclass_of_a_convolution(self, tmp_path: Path) -> None:
        file = tmp_path / "nets.py"
        file.write_text(PADDED)
        cost = measure(f"{file}:net", stem="standard", input_size=8, num_classes=5)
        assert cost.conv_linear_macs == 8 * 8 * 3 * 4 * 9 + 4 * 5
        assert cost.agrees


class TestCount:
    def test_a_linear_layer_counts_one_flop_per_multiply_add(self) -> None:
        cost = count(nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 7)), torch.zeros(1, 3, 4, 4))
        assert cost.flops == cost.conv_linear_macs == cost.torch_macs == 3 * 4 * 4 * 7
        assert cost.uncounted == ()

    def test_the_fast_path_of_attention_is_left_as_it_was(self) -> None:
        enabled = torch.backends.mha.get_fastpath_enabled()
        count(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.zeros(1, 3, 2, 2))
        assert torch.backends.mha.get_fastpath_enabled() == enabled


def test_trainable_leaves_frozen_parameters_out() -> None:
    net = nn.Linear(3, 2)
    net.bias.requires_grad_(False)
    assert trainable(net) == 6
