"""`make ui`: a code server that is killed comes back, and a port in use starts nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes import serialize_value

import dagster_project
from dagster_project import code_server, ui
from dagster_project.commands.init import write_dagster_yaml
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

REPOSITORY = Path(dagster_project.__file__).resolve().parent.parent
SECONDS = 240


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home for whatever this process starts."""
    made = Home(tmp_path / "home")
    write_settings(made, Settings(source="sample", path="retailer", first_day=date(2025, 3, 3)))
    write_dagster_yaml(made)
    monkeypatch.setenv("ATELIER_HOME", str(made.root))
    monkeypatch.setenv("DAGSTER_HOME", str(made.dagster))
    monkeypatch.chdir(REPOSITORY)
    return made


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def until(done: Callable[[], bool], code: code_server.CodeServer) -> None:
    """Look after the code server, as `make ui` does, until something is so."""
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        code.look()
        time.sleep(0.2)


@pytest.mark.end_to_end
@pytest.mark.skipif(sys.platform != "linux", reason="the processes are found in /proc")
def test_a_code_server_comes_back_whichever_of_its_processes_is_killed(home: Home) -> None:
    with code_server.CodeServer() as code:
        until(code.is_ready, code)
        outer = code._process.pid
        (inner,) = children(outer)
        os.kill(inner, signal.SIGKILL)
        until(lambda: code.is_ready() and inner not in children(outer), code)
        assert code._process.pid == outer

        (inner,) = children(outer)
        os.kill(outer, signal.SIGKILL)
        until(lambda: code._process.pid != outer and code.is_ready(), code)
        last = code._process
    assert last.poll() is not None


def test_a_port_in_use_is_named_and_nothing_is_started(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind((code_server.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dagster_project.ui", "--port", str(port)],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert done.returncode == 1
    assert f"make ui: 127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "make ui PORT=3001" in done.stderr
    assert {path.name for path in home.dagster.iterdir()} == {"dagster.yaml"}


def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_server, "GRACE_SECONDS", 0.2)
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    code_server.end(process)
    assert process.returncode == -signal.SIGKILL
    code_server.end(process)  # it has ended already


def test_no_other_port_is_offered_where_dagster_serves_the_home_already(home: Home) -> None:
    assert not ui.served_already(home.dagster)
    assert {path.name for path in home.dagster.iterdir()} == {"dagster.yaml"}
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "1", []))
    with socket.socket() as taken:
        taken.bind((code_server.HOST, 0))
        taken.listen()
        with pytest.raises(ui.PortInUse, match=rf"and Dagster runs on {home.dagster} already: end it") as refused:
            ui.check_port(taken.getsockname()[1], home.dagster)
    assert "PORT=" not in str(refused.value)


class Broken:
    """A code server whose definitions cannot be loaded, as its client sees it.

    Attributes:
        reloads: how often it was asked to load them again.
    """

    reloads = 0

    def heartbeat(self, _: str) -> None:
        """It hears that somebody looks."""

    def ping(self, _: str) -> None:
        raise DagsterUserCodeUnreachableError("no inner process")

    def reload_code(self, *, timeout: int) -> None:
        self.reloads += 1

    def list_repositories(self) -> str:
        return serialize_value(SerializableErrorInfo("SyntaxError: line 7", [], "SyntaxError"))


def test_definitions_that_cannot_be_loaded_are_told_once_and_tried_again_ever_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now, client = [1000.0], Broken()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(code_server.CodeServer, "_start", lambda _: SimpleNamespace(poll=lambda: None))
    code = code_server.CodeServer()
    monkeypatch.setattr(code, "_client", client)
    monkeypatch.setattr(code, "_ready", True)  # it was loaded before
    for _ in range(400):
        code.look()
        now[0] += code_server.LOOK_SECONDS
    assert 5 <= client.reloads <= 12, "in twenty minutes"
    said = capsys.readouterr().err
    assert said.count("SyntaxError: line 7") == 1
    assert said.count("is gone and is started again") == 1
