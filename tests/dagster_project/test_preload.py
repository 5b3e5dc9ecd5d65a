"""What a server of steps imports: nothing but modules, so that a fork of it is a sound process."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere steps are not forked")

LOOK = """
import json, os, sys
started = set(os.listdir("/proc/self/fd"))
import resources.preload.{name}
def opened():
    for each in set(os.listdir("/proc/self/fd")) - started:
        try:
            yield os.readlink("/proc/self/fd/" + each)
        except FileNotFoundError:  # the handle that listed the folder
            pass
torch = sys.modules.get("torch")
print(json.dumps({{
    "threads": len(os.listdir("/proc/self/task")),
    "opened": list(opened()),
    "modules": sorted(sys.modules),
    "cuda": bool(torch) and torch.cuda.is_initialized(),
    "children": open("/proc/self/task/" + str(os.getpid()) + "/children").read().split(),
}}))
"""
#: A child of a server tells what it has, and its parent's threads.
FORK = """
import json, multiprocessing, os, sys
from dagster_project.executors import step_server

def tell(connection):
    threads = len(os.listdir(f"/proc/{{os.getppid()}}/task"))
    connection.send((threads, "resources.preload.{name}" in sys.modules, "great_expectations" in sys.modules))

if __name__ == "__main__":
    with step_server("{name}"):
        here, there = multiprocessing.Pipe()
        child = multiprocessing.get_context("forkserver").Process(target=tell, args=(there,))
        child.start()
        print(json.dumps(here.recv()))
        child.join()
"""


def said(code: str, tmp_path: Any) -> Any:
    """What a program prints last, as JSON."""
    file = tmp_path / "program.py"
    file.write_text(code)
    ran = subprocess.run([sys.executable, file], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=["tables", "models"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    return request.param, said(LOOK.format(name=request.param), tmp_path_factory.mktemp("look"))


def test_a_preload_starts_no_thread_and_opens_nothing(imported: tuple[str, Any]) -> None:
    name, found = imported
    assert found["threads"] == 1, name
    assert found["opened"] == []
    assert found["children"] == []
    assert not found["cuda"]


def test_only_steps_with_models_wait_for_torch(imported: tuple[str, Any]) -> None:
    name, found = imported
    modules = set(found["modules"])
    assert {"great_expectations", "pandas", "pyarrow.parquet", "duckdb"} <= modules
    assert ({"torch", "torch._dynamo", "atelier.recommenders.factorisation.als"} <= modules) == (name == "models")
    assert "torchvision" not in modules
    assert "dagster_project.definitions" not in modules, "it reads the settings of a home"


def test_a_step_is_forked_from_a_server_that_has_imported_everything(tmp_path: Any) -> None:
    assert said(FORK.format(name="tables"), tmp_path) == [1, True, True]
