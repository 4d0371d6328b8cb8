"""The launcher's processes: their variables, and threads that start them at the same time."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from bench.scheduler.launcher import SERVER_ENVIRONMENT, prepare, worker_environment


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads that take turns so often that what one leaves half done another one sees."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("quick_switches")
def test_threads_that_prepare_at_the_same_time_leave_the_variables_as_they_were() -> None:
    before, problems, leaked = dict(os.environ), [], set[str]()

    def work() -> None:
        try:
            for _ in range(300):
                prepare()
                leaked.update(SERVER_ENVIRONMENT.keys() & worker_environment(visible="", threads=1).keys())
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert leaked == set()
    assert dict(os.environ) == before


class TestWorkerEnvironment:
    def test_it_has_the_slot_and_nothing_of_mlflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "secret")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        environment = worker_environment(visible="MIG-1", threads=3)
        assert not [name for name in environment if name.startswith("MLFLOW")]
        assert (environment["CUDA_VISIBLE_DEVICES"], environment["OMP_NUM_THREADS"]) == ("MIG-1", "3")
        assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"

    def test_the_order_of_devices_is_left_alone_where_the_user_names_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
        assert "CUDA_DEVICE_ORDER" not in worker_environment(visible="0", threads=1)
