"""The command line on bad input: one clear sentence, the right exit code, no traceback, before anything trains."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import cli

ROOT = Path(__file__).parents[2]
GOOD = "suite: tiny\nrecipe: {epochs: 1}\ngrid: {model: resnet18, dataset: digits, schedule: cosine}\n"


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


@pytest.fixture
def suite(project: Path) -> str:
    (project / "tiny.yaml").write_text(GOOD)
    return "tiny.yaml"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "missing suite file, e.g."),
        (["run", "nowhere.yaml"], "there is no such file"),
        (["run", "."], "is a folder, not a suite file"),
        (["run", "tiny.yaml", "--device", "cuda:99"], "--device"),
        (["run", "tiny.yaml", "--device", "tpu"], "use auto, cpu, cuda or cuda:0,1"),
        (["run", "tiny.yaml", "--set", "recipe.epocs=1"], "did you mean 'epochs'?"),
        (["run", "tiny.yaml", "--filter", "modle=x"], "did you mean 'model'?"),
        (["run", "tiny.yaml", "--filter", "model=vgg*"], "matches no cell of tiny.yaml, which has 1 cell"),
        (["run", "tiny.yaml", "tiny2.yaml", "--dry-run"], "there is no such file"),
        (["rum"], "did you mean 'run'?"),
        (["report", "tiny.yaml", "--output", "."], "is a folder"),
        (["report", "tiny.yaml", "--output", "no/where/x.md"], "cannot be written"),
        (["report", "tiny.yaml", "--format", "pdf"], "pdf"),
        (["report", "--columns", "model,flopps"], "did you mean 'flops'?"),
        (["report", "--columns", "-parms"], "did you mean 'params'?"),
        (["report", "--sort", "top1:down"], "a direction is asc or desc"),
        (["report"], "there are no results here yet"),
        (["measure", "resnet-18"], "did you mean 'resnet18'?"),
        (["measure", "timm/resnet18x"], "did you mean 'timm/resnet18'?"),
        (["measure", "resnet18", "--dataset", "cifar11"], "did you mean 'cifar10'?"),
        (["measure", "resnet18", "--dataset", "cifar10", "--num-classes", "3"], "--num-classes"),
        (["measure", "swin_t", "--stem", "small"], "no small stem"),
        (["data", "get", "cifar1"], "did you mean 'cifar10'?"),
        (["ui"], "there is no store here yet"),
    ],
)
def test_a_wrong_command_line_is_a_sentence_and_exit_code_2(suite: str, arguments: list[str], sentence: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_all_faults_of_a_file_are_told_at_once_before_anything_is_made(project: Path) -> None:
    (project / "bad.yaml").write_text(GOOD.replace("epochs", "epocs").replace("resnet18", "resnet-18"))
    result = invoke("run", "bad.yaml")
    assert result.exit_code == 2
    assert "bad.yaml:2:10: unknown key 'epocs' (did you mean 'epochs'?)" in result.output
    assert "bad.yaml:3:15: unknown model 'resnet-18' (did you mean 'resnet18'?)" in result.output
    assert sorted(path.name for path in project.iterdir()) == ["bad.yaml"]


def test_two_suites_of_one_name_are_refused(suite: str, project: Path) -> None:
    (project / "other.yaml").write_text(GOOD)
    result = invoke("plan", suite, "other.yaml")
    assert result.exit_code == 2
    assert "both called 'tiny'" in result.output


@pytest.mark.parametrize("command", ["run", "report", "plan"])
def test_an_old_mlruns_folder_is_exit_code_3_with_the_command_that_mends_it(
    suite: str, project: Path, command: str
) -> None:
    (project / "mlruns" / "0").mkdir(parents=True)
    (project / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    result = invoke(command, suite)
    assert result.exit_code == 3
    assert "mlflow migrate-filestore" in result.output


def test_a_server_that_does_not_answer_is_exit_code_3_before_anything_trains(suite: str, project: Path) -> None:
    began = time.monotonic()
    result = invoke("run", suite, "--tracking-uri", "http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "does not answer" in result.output
    assert time.monotonic() - began < 60, "MLflow's own tries last for minutes"
    assert not (project / ".bench" / "cells").exists()


def test_a_home_that_cannot_be_written_is_refused(suite: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "file").write_text("")
    monkeypatch.setenv("BENCH_HOME", str(project / "file" / "home"))
    result = invoke("run", suite)
    assert result.exit_code == 2
    assert "BENCH_HOME" in result.output
    assert "cannot be written" in result.output


@pytest.mark.filterwarnings("ignore")
def test_data_that_cannot_be_fetched_is_exit_code_3_and_names_folder_and_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    (project / "c.yaml").write_text(GOOD.replace("digits", "[cifar10, 'folder:photos']"))
    result = invoke("run", "c.yaml")
    assert result.exit_code == 3
    assert "bench data get cifar10" in result.output
    assert str(project / "data" / "cifar10") in result.output
    assert str(project / "photos") in result.output
    assert not (project / ".bench" / "cells").exists()
    assert "store" not in {thread.name for thread in threading.enumerate()}, "no store is made for a refused run"


def test_looking_makes_no_store(suite: str, project: Path) -> None:
    assert invoke("report", suite).exit_code == 0
    assert not (project / "mlflow.db").exists()


def test_a_report_of_a_suite_that_never_ran_shows_its_cells_as_missing(suite: str) -> None:
    result = invoke("report", suite)
    assert "| resnet18" in result.output
    assert "missing" in result.output


def test_the_plan_knows_params_and_flops_before_anything_ran(suite: str) -> None:
    document = json.loads(invoke("plan", suite, "--json").output)
    (cell,) = document["cells"]
    assert document["schema"] == 1
    assert (cell["state"], cell["params"], cell["stem"]) == ("missing", 11_173_962, "small")
    assert {"id", "model", "dataset", "schedule", "seed", "reason", "flops", "estimate_s"} <= set(cell)
    assert document["total"]["to_run"] == 1


def test_a_dry_run_starts_nothing(suite: str, project: Path) -> None:
    result = invoke("run", suite, "--dry-run")
    assert result.exit_code == 0
    assert "1 to run" in result.output
    assert not (project / "mlflow.db").exists()


def test_measure_prints_exact_counts_as_json(project: Path) -> None:
    document = json.loads(invoke("measure", "resnet18", "--dataset", "cifar10", "--json").output)
    assert document["models"] == [
        {
            "model": "resnet18",
            "stem": "small",
            "input_size": 32,
            "num_classes": 10,
            "params": 11_173_962,
            "flops": 556_659_712,
            "conv_linear_macs": 555_422_720,
            "torch_macs": 555_422_720,
            "uncounted": [],
            "remark": "",
        }
    ]


def test_measure_remembers_what_it_has_measured(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = invoke("measure", "squeezenet1_1").output
    monkeypatch.delattr("bench.scheduler.costs.call_worker")
    assert invoke("measure", "squeezenet1_1").output == first


@pytest.mark.parametrize("command", ["models", "datasets", "schedules"])
def test_what_a_suite_can_name_is_listed_as_text_and_json(command: str) -> None:
    assert invoke(command).exit_code == 0
    document = json.loads(invoke(command, "--json").output)
    assert document["schema"] == 1
    assert document[command]


def test_data_sets_and_their_states_are_listed(project: Path) -> None:
    document = json.loads(invoke("data", "list", "--json").output)
    states = {entry["dataset"]: entry["state"] for entry in document["datasets"]}
    assert states["digits"] == "ready"
    assert states["cifar10"] == "absent"
    assert invoke("data", "path", "cifar10").output.strip() == str(project / "data" / "cifar10")


def test_the_doctor_finds_this_machine_well(project: Path) -> None:
    document = json.loads(invoke("doctor", "--json").output)
    assert {"versions", "CPU", "GPU", "store", "data sets"} <= {finding["topic"] for finding in document["findings"]}
    assert invoke("doctor").exit_code == 0


def test_the_doctor_says_what_is_wrong_with_a_store(project: Path) -> None:
    (project / "mlflow.db").write_text("no database")
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "is not a sqlite database" in result.output


def test_completion_knows_commands_and_models() -> None:
    environment = {
        **os.environ,
        "_BENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "bench measure resnet1",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from bench.cli import cli; cli(prog_name='bench')"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    names = re.findall(r"plain,(\w+)", done.stdout)
    assert {"resnet18", "resnet101", "resnet152"} <= set(names)
    assert all(name.startswith("resnet1") for name in names)


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m bench models | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
