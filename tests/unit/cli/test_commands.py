"""The registry of commands, and what a command may import."""

import ast
import importlib
from pathlib import Path

import click
import pytest

import bench.cli
from bench.cli import COMMANDS

FOLDER = Path(bench.cli.__file__).parent
COMMAND_MODULES = {command.target.partition(":")[0] for command in COMMANDS.values()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_registry_exists_under_its_name(name: str) -> None:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name


@pytest.mark.parametrize("module", sorted(COMMAND_MODULES))
def test_no_command_imports_another(module: str) -> None:
    tree = ast.parse((FOLDER / f"{module.rpartition('.')[2]}.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not imported & COMMAND_MODULES
