"""Cases of public reports about data, suite files, tables, stores and terminals."""

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import unicodedata
from contextlib import closing

from helpers.public import GOOD, ROOT, Folder, case

MODEL = "good.py:net"


@case("D10")
def orientation_is_documented(folder: Folder) -> None:
    folder.images()
    pages = [ROOT / "README.md", ROOT / "bench" / "README.md", ROOT / "bench" / "datasets" / "README.md"]
    text = "".join(page.read_text() for page in pages)
    text += folder.bench("data", "verify", "folder:ds").all
    assert "orientation" in text.lower()


@case("D11")
def a_file_that_is_left_out_is_counted(folder: Folder) -> None:
    from PIL import Image

    folder.images()
    (folder.path / "ds/train/cat/0010.png").unlink()
    Image.new("RGB", (32, 32)).save(folder.path / "ds/train/cat/0010.gif")
    folder.suite(dataset="folder:ds")
    assert re.search(r"left out[^\n]*gif|gif[^\n]*left out", folder.run("--offline").all)


@case("D12")
def unknown_suffixes_are_read_or_named(folder: Folder) -> None:
    folder.images()
    for path in (folder.path / "ds/train/cat").iterdir():
        path.rename(path.with_suffix(".jfif"))
    folder.suite(dataset="folder:ds")
    done = folder.run("--offline")
    assert done.has_figure(MODEL) or (".jfif" in done.err and "12" in done.err), done.err[-400:]


@case("D13")
def all_broken_files_are_named_at_once(folder: Folder) -> None:
    folder.images()
    names = ["0001.png", "0002.png", "0003.png"]
    for name, content in zip(names, (b"", b"\x89PNG\r\n\x1a\n123", b"<html></html>"), strict=True):
        (folder.path / "ds/train/cat" / name).write_bytes(content)
    folder.suite(dataset="folder:ds")
    done = folder.run("--offline")
    assert all(name in done.err for name in names), done.err[-600:]
    assert " object at 0x" not in done.err


@case("D17")
def a_folder_with_the_name_of_an_image_is_skipped(folder: Folder) -> None:
    folder.images()
    (folder.path / "ds/train/cat/dir.jpg").mkdir()
    folder.suite(dataset="folder:ds")
    assert folder.run("--offline").has_figure(MODEL)


@case("D21")
def classes_that_differ_in_their_unicode_form_are_told_so(folder: Folder) -> None:
    folder.images(classes=("café", "dog"))
    for split, form in (("train", "NFC"), ("val", "NFD")):
        path = folder.path / "ds" / split / "café"
        path.rename(path.with_name(unicodedata.normalize(form, "café")))  # type: ignore[arg-type]
    folder.suite(dataset="folder:ds")
    done = folder.run("--offline")
    assert done.has_figure(MODEL) or "unicode" in done.err.lower(), done.err[-400:]


@case("D24")
def top_5_of_two_classes_is_a_dash(folder: Folder) -> None:
    folder.images()
    folder.suite(dataset="folder:ds")
    row = next(line for line in folder.run("--offline").out.splitlines() if MODEL in line)
    assert row.rstrip(" |").rpartition("|")[2].strip() == "-", row


@case("D25")
def other_spellings_of_a_path_are_one_cell(folder: Folder) -> None:
    folder.images()
    folder.suite("good.py:net", dataset="folder:ds")
    assert folder.run("--offline").code == 0
    for net, dataset in (
        ("good.py:net", "ds/"),
        ("good.py:net", "./ds"),
        ("good.py:net", str(folder.path / "ds")),
        ("./good.py:net", "ds"),
    ):
        folder.suite(net, dataset=f"folder:{dataset}")
        [cell] = json.loads(folder.bench("plan", "s.yaml", "--json").out)["cells"]
        assert cell["state"] == "complete", (net, dataset, cell["state"])


@case("Y3")
def a_tab_is_called_a_tab(folder: Folder) -> None:
    folder.write("s.yaml", "suite: x\nrecipe:\n\tepochs: 1\n")
    assert re.search(r"\btab\b", folder.bench("plan", "s.yaml").err)


@case("Y4")
def empty_values_are_refused(folder: Folder) -> None:
    folder.suite()
    assert folder.bench("plan", "s.yaml", "--set", "recipe.epochs=").code == 2
    folder.write("s.yaml", (folder.path / "s.yaml").read_text().replace("epochs: 1", "epochs: "))
    assert folder.bench("plan", "s.yaml").code == 2


@case("Y6")
def a_schedules_own_options_are_listed(folder: Folder) -> None:
    file = folder.suite(rest="schedules:\n  cosine: {kind: cosine, T_max: 10}\n")
    text = folder.bench("plan", file).err
    assert "eta_min" in text, text
    assert "milestones" not in text, text


@case("Y8")
def an_optimizers_own_options_are_listed(folder: Folder) -> None:
    text = folder.bench("plan", folder.suite(), "--set", "recipe.optimizer.beta=0.9").err
    assert "momentum" in text, text


@case("Y9")
def nesterov_without_momentum_is_refused_at_plan(folder: Folder) -> None:
    file = folder.suite()
    folder.write(file, (folder.path / file).read_text().replace("lr: 0.05", "lr: 0.1, nesterov: true, momentum: 0.0"))
    assert folder.bench("plan", file).code == 2


@case("Y10")
def bounds_are_whole_numbers(folder: Folder) -> None:
    file = folder.suite()
    folder.write(
        file, (folder.path / file).read_text().replace("schedule: cosine", "schedule: cosine, seed: 4294967296")
    )
    done = folder.bench("plan", file)
    assert done.code == 2
    assert "e+09" not in done.err, done.err


def three_recipes(folder: Folder) -> None:
    """A suite of one net with three batch sizes and learning rates."""
    rest = "".join(
        f"  - {{model: 'good.py:net', dataset: digits, schedule: cosine, recipe: {{{recipe}}}}}\n"
        for recipe in ("batch_size: 128", "optimizer: {name: sgd, lr: 0.5}")
    )
    folder.suite(rest=f"cells:\n{rest}")


@case("S1")
def rows_of_a_csv_differ_in_a_column(folder: Folder) -> None:
    three_recipes(folder)
    assert folder.run("--offline").code == 0
    rows = list(csv.DictReader(io.StringIO(folder.bench("report", "s.yaml", "--format", "csv").out)))
    text = [
        {key: value for key, value in row.items() if not re.search("top|loss|run|time|second|speed|cell", key, re.I)}
        for row in rows
    ]
    assert len({json.dumps(row) for row in text}) == 3, text


@case("S2")
def each_table_names_its_suite(folder: Folder) -> None:
    files = [folder.suite(name=name) for name in ("one", "two")]
    assert folder.run(*files, "--offline").code == 0
    tables = json.loads(folder.bench("report", *files, "--format", "json").out)["tables"]
    assert [table.get("suite") for table in tables] == ["one", "two"]


@case("S3")
def log_lines_tell_recipes_apart(folder: Folder) -> None:
    three_recipes(folder)
    lines = [line.partition("started ")[2].partition(" on cpu")[0] for line in folder.run("--offline").err.splitlines()]
    assert len({line for line in lines if line}) == 3, lines


@case("S5")
def a_report_needs_no_file_of_the_net(folder: Folder) -> None:
    folder.suite()
    folder.run()
    (folder.path / "good.py").rename(folder.path / "models.py")
    for arguments in (("s.yaml",), ()):
        done = folder.bench("report", *arguments)
        assert done.has_figure(MODEL), done.all
        assert "stale" in done.all


@case("S7")
def the_format_follows_the_files_name(folder: Folder) -> None:
    folder.suite()
    folder.run("--offline")
    folder.bench("report", "s.yaml", "--output", "t.csv")
    assert not (folder.path / "t.csv").read_text().lstrip().startswith(("|", "#"))
    done = folder.bench("report", "s.yaml", "--output", "-")
    assert MODEL in done.out
    assert not (folder.path / "-").exists()


def in_store(folder: Folder, script: str) -> str:
    """Run lines with MLflow's client as ``c`` and the suite's experiment as ``e``; returns what they print."""
    head = (
        "import warnings; warnings.simplefilter('ignore')\nfrom mlflow import MlflowClient\n"
        f"c = MlflowClient('sqlite:///{folder.path}/mlflow.db')\ne = c.get_experiment_by_name('x')\n"
    )
    done = subprocess.run(["python", "-c", head + script], capture_output=True, text=True, check=True, cwd=folder.path)
    return done.stdout


@case("F1")
def a_deleted_run_stays_deleted(folder: Folder) -> None:
    folder.suite()
    folder.run()
    in_store(
        folder, "[c.delete_run(r.info.run_id) for r in c.search_runs([e.experiment_id]) if 'bench.cell' in r.data.tags]"
    )
    done = folder.bench("report", "s.yaml")
    assert not done.has_figure(MODEL) or "deleted" in done.all, done.all[:500]


@case("F3")
def a_deleted_experiment_is_not_restored_in_silence(folder: Folder) -> None:
    folder.suite()
    folder.run()
    folder.forget()
    in_store(folder, "c.delete_experiment(e.experiment_id)")
    assert "deleted" in folder.run().err


@case("F4")
def a_renamed_experiment_is_found(folder: Folder) -> None:
    folder.suite()
    folder.run()
    folder.forget()
    in_store(folder, "c.rename_experiment(e.experiment_id, 'renamed')")
    assert folder.bench("report", "s.yaml").has_figure(MODEL)


@case("F7")
def a_store_of_a_newer_mlflow_is_called_that(folder: Folder) -> None:
    folder.suite()
    folder.run()
    with closing(sqlite3.connect(folder.path / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    done = folder.run("--rerun")
    assert done.code == 3
    assert "newer" in done.err, done.err[-400:]


@case("F11")
def a_path_in_place_of_an_address_is_answered_with_the_address(folder: Folder) -> None:
    folder.suite()
    folder.write("x.db", "")
    done = folder.run("--tracking-uri", "x.db")
    assert done.code == 3
    assert "sqlite:///x.db" in done.err, done.err


def in_a_folder_called(folder: Folder, name: str) -> None:
    inner = Folder(folder.path / name)
    inner.suite()
    assert inner.run().code == 0
    inner.forget()
    assert (inner.path / "mlflow.db").stat().st_size > 0
    assert inner.bench("report", "s.yaml").has_figure(MODEL)


@case("F13")
def a_percent_sign_in_a_folders_name(folder: Folder) -> None:
    for name in ("my%20project", "a%2Fb"):
        in_a_folder_called(folder, name)


@case("F14")
def a_question_mark_in_a_folders_name(folder: Folder) -> None:
    in_a_folder_called(folder, "a?b")


@case("F17")
def a_long_note_is_cut_after_a_row_and_says_so(folder: Folder) -> None:
    names = [f"a_function_with_a_very_long_name_{'x' * 60}_{number:02d}" for number in range(45)]
    folder.write("good.py", GOOD + "".join(f"{name} = net\n" for name in names))
    folder.suite(*(f"good.py:{name}" for name in names))
    assert folder.run().code == 0
    note = in_store(
        folder,
        "print([r.data.tags['mlflow.note.content'] for r in c.search_runs([e.experiment_id]) if 'bench.suite_run' in r.data.tags][0])",
    )
    assert note.count("<details>") == note.count("</details>")
    rows = [line for line in note.splitlines() if line.startswith("|")]
    assert all(row.rstrip().endswith("|") for row in rows), rows[-1]
    assert len(rows) >= 45 or "tables.md" in note, note[-200:]


@case("E1")
def a_table_survives_an_ascii_terminal(folder: Folder) -> None:
    folder.suite()
    folder.write(
        "s.yaml", (folder.path / "s.yaml").read_text().replace("schedule: cosine", "schedule: cosine, seed: [0, 1]")
    )
    assert folder.run("--offline", env={"PYTHONIOENCODING": "ascii"}).code == 0
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for env in ({"PYTHONIOENCODING": "ascii"}, old):
        done = folder.bench("report", "s.yaml", env=env)
        assert done.code == 0
        assert done.has_figure(MODEL)


@case("E3")
def a_closed_output_is_no_traceback(folder: Folder) -> None:
    folder.suite()
    folder.run("--offline")
    assert "Error" not in folder.bench("report", "s.yaml", shell=">&-").err


@case("E4")
def looking_needs_no_writing(folder: Folder) -> None:
    folder.suite()
    if os.getuid() == 0:
        subprocess.run(["mount", "--bind", "-o", "ro", folder.path, folder.path], check=True)
    else:
        folder.path.chmod(0o555)
    try:
        assert folder.bench("plan", "s.yaml").code == 0
        assert folder.bench("measure", MODEL, "--dataset", "digits").code == 0
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "-l", folder.path], check=True)  # workers may still be ending there
        else:
            folder.path.chmod(0o755)
