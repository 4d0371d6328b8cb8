"""Nothing that is printed can end a command, and nothing that is printed can act on a terminal."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import bench.cli
from bench.cli import cli
from bench.cli.output import is_special, note, say, write_output

FOLDER = Path(bench.cli.__file__).parent
HOSTILE = "\x1b]0;pwn\x07\x1b[2Jhello\r\x1b[1A"
PRINTS = """
from bench.cli.output import note, prepare_streams, say, write_output
prepare_streams()
say("93.76 \\u00b1 0.12 \\udcff")
note("a \\u00b7 b")
write_output("| \\u00b1 |", None)
"""


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command line of the shell, in which ``$PRINT`` prints a little to both streams."""
    variables = {**os.environ, "PRINT": PRINTS, "PY": sys.executable, **environment}
    return subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, check=False)


def test_sentences_hold_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    note(HOSTILE)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("hello\n", "hello\n")


def test_a_colour_is_only_that_of_bench(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"ok      {HOSTILE}", style="green")
    assert "hello" in capsys.readouterr().out


def test_only_one_module_of_the_command_line_prints() -> None:
    for path in FOLDER.glob("*.py"):
        names = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        if path.name != "output.py":
            assert not names & {"click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"}, path


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["ascii", "C locale"],
)
def test_a_character_that_the_terminal_lacks_is_replaced(environment: dict[str, str]) -> None:
    done = shell('"$PY" -c "$PRINT"', **environment)
    assert (done.returncode, done.stdout.splitlines()[0][:14]) == (0, "93.76 ? 0.12 ?")
    assert done.stderr.startswith("a ")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    done = shell(f'"$PY" -c "$PRINT" {closed}')
    assert done.returncode == 0
    assert "Traceback" not in done.stdout + done.stderr


def test_a_file_that_is_opened_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    script = PRINTS + f"stream = open({str(tmp_path / 'file')!r}, 'w')\nassert stream.fileno() > 2\n"
    assert shell('"$PY" -c "$PRINT" <&- >&- 2>&-', PRINT=script).returncode == 0


@pytest.mark.parametrize(("gone", "function"), [("stderr", "note"), ("stdout", "print_table")])
def test_a_run_goes_on_without_a_reader(tmp_path: Path, gone: str, function: str) -> None:
    script = f"from bench.cli.output import {function} as show\nshow('a')\nshow('b')\nopen('end', 'w').close()\n"
    read, write = os.pipe()
    os.close(read)
    stdout, stderr = (write if gone == name else subprocess.DEVNULL for name in ("stdout", "stderr"))
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=stdout, stderr=stderr, check=False)
    os.close(write)
    assert done.returncode == 0
    assert (tmp_path / "end").exists()


class TestWriteOutput:
    def test_a_dash_is_standard_output(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_output("table", "-")
        assert capsys.readouterr().out == "table\n"

    def test_a_link_is_followed_and_stays(self, tmp_path: Path) -> None:
        target, link = tmp_path / "folder" / "table.md", tmp_path / "link.md"
        target.parent.mkdir()
        link.symlink_to(target)
        for text in ("first", "second"):
            write_output(text, str(link))
            assert link.is_symlink()
            assert target.read_text() == f"{text}\n"

    def test_a_device_is_written_to(self) -> None:
        write_output("table", os.devnull)
        assert is_special(Path(os.devnull))

    def test_a_pipe_is_written_to(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        reader = subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE)
        write_output("table", str(fifo))
        assert reader.communicate(timeout=60)[0] == b"table\n"
        assert is_special(fifo)


class TestErrors:
    def said(self, *arguments: str) -> str:
        result = CliRunner().invoke(cli, list(arguments))
        assert result.exit_code == 2, result.output
        return result.output

    @pytest.mark.parametrize(
        ("option", "key"),
        [("--epochs", "recipe.epochs"), ("--batch-size", "recipe.batch_size"), ("--lr", "recipe.optimizer.lr")],
    )
    def test_a_key_of_the_recipe_leads_to_set(self, option: str, key: str) -> None:
        text = self.said("run", "s.yaml", option, "3")
        assert text.startswith("Usage: ")
        assert f"--set {key}=VALUE" in text

    def test_another_option_has_no_such_hint(self) -> None:
        assert "--set" not in self.said("run", "s.yaml", "--zzz")

    def test_words_for_a_command_lead_to_it(self) -> None:
        assert "did you mean 'run'?" in self.said("train", "s.yaml")

    def test_a_hostile_word_is_shown_without_its_sequences(self) -> None:
        assert "\x1b" not in self.said("\x1b[2Jx")


@pytest.mark.parametrize(
    ("words", "same"),
    [(["help"], ["--help"]), (["help", "run"], ["run", "--help"]), (["version"], ["--version"])],
)
def test_help_and_version_are_commands_too(words: list[str], same: list[str]) -> None:
    one, other = (CliRunner().invoke(cli, arguments) for arguments in (words, same))
    assert (one.exit_code, one.output) == (0, other.output)
