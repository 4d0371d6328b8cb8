"""Cases of public reports about nets: how they are written, built, measured and trained."""

import json
import re

from helpers.public import HEAD, Folder, case

SMALL = f"""{HEAD}
class Small(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.body, self.head = nn.Linear(192, 16), nn.Linear(16, num_classes)
    def features(self, x): return self.body(x.flatten(1)).relu()
    def forward(self, x): return self.head(self.features(x))
"""


def good_trains_beside(folder: Folder, *models: str) -> str:
    """Run nets beside a good one, which must train whatever they do. Returns what was printed."""
    folder.suite(*models, "good.py:net")
    done = folder.run()
    assert done.has_figure("good.py:net"), done.all[-400:]
    return done.all


@case("M3")
def auxiliary_heads_are_named(folder: Folder) -> None:
    done = folder.bench("measure", "inception_v3", "googlenet", "--input-size", "299", "--num-classes", "1000")
    assert "aux" in done.all.lower()


@case("M5")
def a_vit_of_a_fixed_size_gets_the_size_that_is_asked_for(folder: Folder) -> None:
    for size in ("32", "96"):
        done = folder.bench("measure", "timm/vit_tiny_patch16_224", "--input-size", size, "--num-classes", "10")
        assert done.code == 0, done.err


@case("M7")
def nets_that_return_more_than_logits_train_or_are_told_at_plan(folder: Folder) -> None:
    outputs = {
        "a_tuple": "(y, f)",
        "a_list": "[y, f]",
        "a_dict": '{"logits": y}',
        "a_named": "Out(y, f) if self.training else y",
    }
    text = SMALL + "from collections import namedtuple\nOut = namedtuple('Out', 'logits aux')\n"
    for name, output in outputs.items():
        text += f"class {name}(Small):\n  def forward(self, x):\n    f = self.features(x); y = self.head(f); return {output}\n"
    folder.write("nets.py", text)
    folder.suite(*(f"nets.py:{name}" for name in outputs))
    done = folder.run()
    for name in outputs:
        assert done.has_figure(f"nets.py:{name}") or re.search(rf"{name}[^\n]*return", done.err), name
    assert "cross_entropy" not in done.all


@case("M8")
def spatial_outputs_are_named_with_their_shape(folder: Folder) -> None:
    folder.write(
        "nets.py",
        SMALL + "class net(Small):\n  def forward(self, x): return self.head(self.features(x))[..., None, None]\n",
    )
    text = good_trains_beside(folder, "nets.py:net")
    assert re.search(r"10, 1, 1\)", text), text[-400:]


@case("M11")
def too_many_outputs_are_told_at_plan(folder: Folder) -> None:
    folder.write("nets.py", SMALL + "def wrong(num_classes): return Small(1000)\n")
    folder.suite("nets.py:wrong")
    text = folder.bench("plan", "s.yaml").all
    assert re.search(r"1,?000 outputs", text), text
    assert "10 classes" in text, text


@case("M12")
def too_few_outputs_are_told_at_plan(folder: Folder) -> None:
    folder.write("nets.py", SMALL + "def few(num_classes): return Small(5)\n")
    folder.suite("nets.py:few")
    text = folder.bench("plan", "s.yaml").all
    assert "5 outputs" in text, text
    assert "10 classes" in text, text


@case("M14")
def a_layer_made_in_the_first_forward_stops_no_other_net(folder: Folder) -> None:
    folder.write(
        "late.py",
        HEAD + "class N(nn.Module):\n"
        "    def __init__(self, n): super().__init__(); self.n = n; self.c = nn.Conv2d(3, 8, 3); self.h = None\n"
        "    def forward(self, x):\n"
        "        y = self.c(x).flatten(1)\n"
        "        if self.h is None: self.h = nn.Linear(y.shape[1], self.n)\n"
        "        return self.h(y)\n"
        "def net(num_classes): return N(num_classes)\n",
    )
    good_trains_beside(folder, "late.py:net")
    assert "good.py:net" in folder.measure("late.py:net", "good.py:net").out


@case("M15")
def a_forward_that_fails_stops_no_other_net(folder: Folder) -> None:
    folder.write("nets.py", SMALL + "class net(Small):\n  def forward(self, x): return self.heads(x.flatten(1))\n")
    text = good_trains_beside(folder, "nets.py:net")
    assert "heads" in text, text[-400:]


@case("M16")
def a_net_that_ends_its_process_stops_no_other_net(folder: Folder) -> None:
    folder.write(
        "argp.py",
        "import argparse\np = argparse.ArgumentParser(); p.add_argument('--lr', required=True); args = p.parse_args()\n"
        + SMALL,
    )
    folder.write("ends.py", "import sys; sys.exit(0)\ndef net(num_classes): ...\n")
    folder.write("dies.py", "import os, signal\ndef net(num_classes): os.kill(os.getpid(), signal.SIGSEGV)\n")
    text = good_trains_beside(folder, "argp.py:Small", "ends.py:net", "dies.py:net")
    assert re.search(r"argp\.py[^\n]*exit", text), text[-600:]


@case("M17")
def a_module_beside_the_nets_file_is_found(folder: Folder) -> None:
    folder.write("zoo/blocks.py", "WIDTH = 8\n")
    folder.write("zoo/net.py", f"from blocks import WIDTH\n{HEAD}" + wide())
    done = folder.measure("zoo/net.py:net")
    assert done.code == 0, done.err


@case("M18")
def a_package_with_relative_imports_is_imported(folder: Folder) -> None:
    folder.write("pkg/__init__.py", "")
    folder.write("pkg/blocks.py", "WIDTH = 8\n")
    folder.write("pkg/net.py", f"from .blocks import WIDTH\n{HEAD}" + wide())
    done = folder.measure("pkg/net.py:net")
    assert done.code == 0, done.err


def wide() -> str:
    return "def net(num_classes): return nn.Sequential(nn.Flatten(), nn.Linear(192, WIDTH), nn.ReLU(), nn.Linear(WIDTH, num_classes))\n"


@case("M19")
def a_changed_helper_makes_results_stale_and_is_measured_anew(folder: Folder) -> None:
    folder.write("zoo/blocks.py", "WIDTH = 8\n")
    folder.write("zoo/net.py", f"from blocks import WIDTH\n{HEAD}" + wide())
    env = {"PYTHONPATH": f"{folder.path / 'zoo'}:{folder_root()}"}
    folder.suite("zoo/net.py:net")
    assert folder.run(env=env).code == 0
    assert params(folder.measure("zoo/net.py:net", env=env).out) == 1_634
    folder.write("zoo/blocks.py", "WIDTH = 512\n")
    assert params(folder.measure("zoo/net.py:net", env=env).out) == 103_946
    assert "stale" in folder.bench("report", "s.yaml", env=env).all


def folder_root() -> str:
    from helpers.public import ROOT

    return str(ROOT)


def params(text: str) -> int:
    """The params of the only net of ``measure --json``."""
    [model] = json.loads(text)["models"]
    count: int = model["params"]
    return count


@case("M23")
def a_frozen_net_is_said_to_have_no_trainable_parameter(folder: Folder) -> None:
    folder.write("nets.py", SMALL + "def net(num_classes): return Small(num_classes).requires_grad_(False)\n")
    assert "no trainable parameter" in good_trains_beside(folder, "nets.py:net")


@case("M25")
def small_counts_of_a_disagreement_keep_their_digits(folder: Folder) -> None:
    folder.write(
        "nets.py",
        SMALL + "class F(torch.autograd.Function):\n  @staticmethod\n  def forward(ctx, x, w): return x @ w\n"
        "class net(Small):\n  def forward(self, x):\n    return self.head(F.apply(x.flatten(1), self.body.weight.t()))\n",
    )
    done = folder.bench("measure", "nets.py:net", "--dataset", "digits")
    assert "0.0 M" not in done.all, done.all


@case("M26")
def padding_by_name_is_counted_as_padding_by_number(folder: Folder) -> None:
    for name, padding in (("same", '"same"'), ("one", "1")):
        folder.write(
            f"{name}.py",
            HEAD
            + f"def net(num_classes): return nn.Sequential(nn.Conv2d(3, 16, 3, padding={padding}), nn.Conv2d(16, 16, 3, "
            f"padding={padding}), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes))\n",
        )
    same, one = (json.loads(folder.measure(f"{name}.py:net").out)["models"][0]["flops"] for name in ("same", "one"))
    assert same == one > 170_000, (same, one)


@case("M27")
def a_class_token_that_is_expanded_is_measured(folder: Folder) -> None:
    done = folder.bench(
        "measure", "timm/pit_ti_224", "timm/cait_xxs24_224", "--input-size", "224", "--num-classes", "10"
    )
    assert done.code == 0, done.err


@case("M30")
def operators_that_compute_nothing_are_no_footnote(folder: Folder) -> None:
    done = folder.bench("measure", "timm/levit_128s", "--input-size", "224", "--num-classes", "10")
    assert done.code == 0, done.err
    assert not re.search("reshape_as|expand_as", done.all), done.all


@case("M31")
def scripted_and_compiled_nets_train(folder: Folder) -> None:
    folder.write("nets.py", SMALL + "def scripted(num_classes): return torch.jit.script(Small(num_classes))\n")
    folder.suite("nets.py:scripted")
    done = folder.run()
    assert done.has_figure("nets.py:scripted"), done.all[-400:]


@case("M32")
def a_net_for_grey_images_is_told_of_three_channels(folder: Folder) -> None:
    body = "nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(288, num_classes))"
    folder.write("nets.py", f"{HEAD}def net(num_classes): return {body}\n")
    text = good_trains_beside(folder, "nets.py:net")
    assert "3 channels" in text, text[-400:]
    assert "another input_size or stem may do" not in text


@case("M33")
def what_can_be_measured_is_printed(folder: Folder) -> None:
    folder.write("nets.py", SMALL + "class net(Small):\n  def forward(self, x): return self.heads(x.flatten(1))\n")
    done = folder.bench("measure", "googlenet", "nets.py:net", "--input-size", "32", "--num-classes", "10", "--json")
    assert done.code == 1, done.code
    assert "googlenet" in [model["model"] for model in json.loads(done.out)["models"]], done.all[-400:]


@case("M34")
def small_counts_keep_significant_digits(folder: Folder) -> None:
    folder.write(
        "nets.py",
        HEAD
        + "def net(num_classes): return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, num_classes))\n",
    )
    folder.suite("nets.py:net")
    for done in (folder.bench("plan", "s.yaml"), folder.run("--offline")):
        assert not re.search(r"(?<![\d.])0\.0+(?![\d.])", done.out.split("Recipe")[0]), done.out[:400]


@case("M35")
def random_and_numpy_follow_the_seed(folder: Folder) -> None:
    folder.write(
        "nets.py",
        SMALL + "import random, numpy as np\n"
        "class A(Small):\n  def forward(self, x): return super().forward(x * (random.random() if self.training else 1))\n"
        "class B(Small):\n  def forward(self, x): return super().forward(x * (np.random.rand() if self.training else 1))\n",
    )
    folder.suite("nets.py:A", "nets.py:B", epochs=2)
    tables = [folder.run("--offline", *more).out.split("<details>")[0] for more in ((), ("--rerun",))]
    assert tables[0] == tables[1]


@case("M39")
def a_batch_larger_than_the_set_is_said(folder: Folder) -> None:
    folder.suite(batch=5000)
    done = folder.run()
    assert re.search(r"1,?437", done.all), done.all[-400:]
