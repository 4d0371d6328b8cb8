"""What a net of a file depends on: all code that its function reaches, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.workspace.net_source import module_name, read_source, split_model

NETS = '''"""Nets."""

from blocks import WIDTH, Block

SIZES = {"small": 1}
SIZES["large"] = 2


class Head:
    """The last layer."""

    def __init__(self, width):
        self.width = width  # in channels


def helper(count):
    return Head(WIDTH * count + SIZES["small"])


def net(num_classes):
    """A net."""
    return Block(helper(num_classes))


def other(num_classes):
    return num_classes
'''
BLOCKS = """import math
WIDTH = 8
DEPTH = 3


class Block:
    def __init__(self, inner):
        self.inner = depth(inner)


def depth(inner):
    return [inner] * math.ceil(2.5)


def unused():
    return DEPTH
"""


def write(folder: Path, nets: str = NETS, **modules: str) -> str:
    """A file of nets with other files beside it. Returns the model's name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"nets": nets, "blocks": BLOCKS, **modules}.items():
        path = folder.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"{folder}/nets.py:net"


def digest(model: str) -> str:
    source = read_source(model)
    assert source is not None
    return source.digest


bodies = st.sampled_from(
    [
        "return num_classes + 1",
        "return helper(num_classes)",
        "return [Block(each) for each in range(num_classes)]",
        "import json\n    return json.dumps(SIZES)",
        "globals()['x'] = 1\n    return exec('pass')",
        "'''A docstring.'''",
    ]
)
places = st.sampled_from(["top", "middle", "bottom"])


def add(text: str, addition: str, place: str) -> str:
    """Add a definition to a file of nets, at a place."""
    if place == "bottom":
        return f"{text}\n\n{addition}\n"
    before = "class Head:" if place == "middle" else "SIZES = {"
    return text.replace(before, f"{addition}\n\n\n{before}", 1)


@given(
    name=st.text("abcxyz_", min_size=1, max_size=8).map("fresh_{}".format),
    body=bodies,
    head=st.sampled_from(["def {}(num_classes):", "async def {}(num_classes=3):", "class {}:\n  def do(num_classes):"]),
    place=places,
    into=st.sampled_from(["nets", "blocks"]),
)
def test_an_unrelated_definition_never_changes_the_digest(
    tmp_path_factory: pytest.TempPathFactory, name: str, body: str, head: str, place: str, into: str
) -> None:
    folder = tmp_path_factory.mktemp("nets")
    before = digest(write(folder))
    addition = f"{head.format(name)}\n    {body}"
    nets = add(NETS, addition, place) if into == "nets" else NETS
    blocks = f"{BLOCKS}\n\n{addition}\n" if into == "blocks" else BLOCKS
    assert digest(write(folder, nets, blocks=blocks)) == before


REACHED = {
    "nets": [
        ("Head(WIDTH * count", "Head(WIDTH + count"),
        ("self.width = width", "self.width = 2 * width"),
        ('"small": 1', '"small": 3'),
        ('SIZES["large"] = 2', 'SIZES["small"] = 2'),
        ("return Block(helper", "return Block(2 * helper"),
    ],
    "blocks": [
        ("WIDTH = 8", "WIDTH = 512"),
        ("ceil(2.5)", "floor(2.5)"),
        ("self.inner = depth(inner)", "self.inner = inner"),
        ("import math", "import cmath as math"),
    ],
}


@given(
    edit=st.sampled_from([(file, *edit) for file, edits in REACHED.items() for edit in edits]),
    noise=st.lists(st.tuples(bodies, places), max_size=2),
)
def test_a_change_of_what_is_reached_always_changes_the_digest(
    tmp_path_factory: pytest.TempPathFactory, edit: tuple[str, str, str], noise: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("nets")
    before = digest(write(folder))
    file, old, new = edit
    nets = NETS
    for number, (body, place) in enumerate(noise):
        nets = add(nets, f"def fresh_{number}(num_classes):\n    {body}", place)
    texts = {"nets": nets, "blocks": BLOCKS}
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    assert digest(write(folder, texts["nets"], blocks=texts["blocks"])) != before


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    before = digest(write(tmp_path))
    changed = NETS.replace("# in channels", "# in pixels").replace('"""A net."""', '"""Another text."""')
    changed = changed.replace('"""Nets."""', "").replace("helper(num_classes)", "helper(\n        num_classes\n    )")
    assert digest(write(tmp_path, changed)) == before


def test_a_moved_file_keeps_its_digest(tmp_path: Path) -> None:
    assert digest(write(tmp_path / "one")) == digest(write(tmp_path / "lib" / "two"))


@pytest.mark.parametrize(
    "dynamic",
    ["return globals()['deep'](num_classes)", "import sys; return getattr(sys.modules[__name__], 'deep')", "exec('')"],
)
def test_a_function_that_looks_names_up_depends_on_its_whole_file(tmp_path: Path, dynamic: str) -> None:
    text = f"def net(num_classes):\n    {dynamic}\n\n\ndef deep(n):\n    return 1\n"
    before = digest(write(tmp_path, text))
    assert digest(write(tmp_path, text.replace("return 1", "return 2"))) != before
    assert digest(write(tmp_path, f'"""Only a docstring."""\n{text}')) == before


def test_methods_that_are_called_like_dynamic_functions_are_none(tmp_path: Path) -> None:
    text = "def net(num_classes):\n    return [m.eval() for m in build().modules()]\n\n\ndef build():\n    return 1\n"
    before = digest(write(tmp_path, text))
    assert digest(write(tmp_path, f"{text}\n\ndef other():\n    return 2\n")) == before


def test_what_a_package_imports_counts_with_relative_imports_too(tmp_path: Path) -> None:
    package = {
        "zoo.__init__": "from .registry import register\n",
        "zoo.registry": "KNOWN = {}\n\n\ndef register(f):\n    KNOWN[f.__name__] = f\n    return f\n",
        "zoo.parts.__init__": "",
        "zoo.parts.layers": "from ..sizes import WIDTH\n\n\ndef layer():\n    return WIDTH\n",
        "zoo.sizes": "WIDTH = 8\nOTHER = 1\n",
        "zoo.net": "from . import registry\nfrom .parts import layers as l\n\n\n"
        "def net(num_classes):\n    return l.layer(), registry.KNOWN\n",
    }
    write(tmp_path, **package)
    model = f"{tmp_path}/zoo/net.py:net"
    before = digest(model)
    write(tmp_path, **{**package, "zoo.sizes": "WIDTH = 8\nOTHER = 2\n"})
    assert digest(model) == before
    write(tmp_path, **{**package, "zoo.sizes": "WIDTH = 9\nOTHER = 1\n"})
    assert digest(model) != before
    write(tmp_path, **{**package, "zoo.registry": package["zoo.registry"].replace("KNOWN[f", "KNOWN['x' + f")})
    assert digest(model) != before


def test_modules_of_the_current_folder_and_of_pythonpath_count_and_installed_ones_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "named", "zoo"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "named"))
    Path("in_here.py").write_text("WIDTH = 1\n")
    Path("torch.py").write_text("WIDTH = 1\n")
    (tmp_path / "named" / "in_named.py").write_text("WIDTH = 1\n")
    model = write(
        tmp_path / "zoo",
        "import torch\nimport timm.layers\nfrom in_here import WIDTH\nimport in_named, random\n\n\n"
        "def net(num_classes):\n    return WIDTH + in_named.WIDTH, torch.nn, timm.layers, random\n",
    )
    source = read_source(model)
    assert source is not None
    assert source.libraries == {"torch", "timm"}
    Path("torch.py").write_text("WIDTH = 2\n")
    Path("random.py").write_text("WIDTH = 2\n")
    assert digest(model) == source.digest
    for file in (Path("in_here.py"), tmp_path / "named" / "in_named.py"):
        before = digest(model)
        file.write_text("WIDTH = 2\n")
        assert digest(model) != before


def test_a_registry_of_the_project_counts_what_it_decorates(tmp_path: Path) -> None:
    text = (
        "import functools\nKNOWN = {}\n\n\ndef register(f):\n    KNOWN[f.__name__] = f\n    return f\n\n\n"
        "@register\ndef deep(n):\n    return 1\n\n\n@functools.cache\ndef other(n):\n    return 1\n\n\n"
        "def net(num_classes):\n    return KNOWN['deep'](num_classes)\n"
    )
    before = digest(write(tmp_path, text))
    assert digest(write(tmp_path, text.replace("deep(n):\n    return 1", "deep(n):\n    return 2"))) != before
    assert digest(write(tmp_path, text.replace("other(n):\n    return 1", "other(n):\n    return 2"))) == before


def test_the_part_of_a_file_that_runs_as_a_script_does_not_count(tmp_path: Path) -> None:
    before = digest(write(tmp_path))
    assert digest(write(tmp_path, f"{NETS}\n\nif __name__ == '__main__':\n    print(net(10))\n")) == before


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    write(tmp_path, "import a\n\n\ndef net(n):\n    return a.f()\n", a="import b, nets\ndef f(): return b.g()\n")
    (tmp_path / "b.py").write_text("import a\nfrom nets import *\ndef g(): return a.f\n")
    assert digest(f"{tmp_path}/nets.py:net")


@pytest.mark.parametrize("text", ["def net(:\n", "x = '\x00'\n", f"net = {'(' * 300}{')' * 300}\n"])
def test_a_file_that_cannot_be_parsed_counts_by_its_bytes(tmp_path: Path, text: str) -> None:
    before = digest(write(tmp_path, text))
    assert digest(write(tmp_path, text)) == before
    assert digest(write(tmp_path, f"{text}#")) != before


def test_a_missing_file_or_function_has_no_source(tmp_path: Path) -> None:
    model = write(tmp_path)
    assert read_source(f"{model}s") is None
    assert read_source(f"{tmp_path}/gone.py:net") is None
    assert read_source("resnet18") is None


def test_split_model_distinguishes_files_from_names() -> None:
    assert split_model("a/nets.py:net") == (Path("a/nets.py"), "net")
    assert split_model("resnet18") is split_model("timm/resnet18") is split_model("nets.txt:net") is None


def test_module_name_starts_at_the_outermost_package(tmp_path: Path) -> None:
    write(tmp_path, **{"zoo.__init__": "", "zoo.deep.__init__": "", "zoo.deep.net": ""})
    assert module_name(tmp_path / "nets.py") == (tmp_path, "nets")
    assert module_name(tmp_path / "zoo" / "deep" / "net.py") == (tmp_path, "zoo.deep.net")


def test_module_name_of_a_file_with_relative_imports_has_the_packages_that_they_climb(tmp_path: Path) -> None:
    write(tmp_path, **{"zoo.deep.net": "from ..blocks import X\nfrom . import y\n"})
    assert module_name(tmp_path / "zoo" / "deep" / "net.py") == (tmp_path, "zoo.deep.net")
