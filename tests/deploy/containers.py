"""The services of docker-compose.yml as processes of this machine: what compose would start, with nothing in between.

What belongs here: reading the files, starting, asking after, killing and ending the processes. What does not: what is
asserted of them. Commands, environments and health checks come from the files; only what containers have of their own
is replaced: host names and ports by loopback, folders by temporary ones, the image of PostgreSQL by Debian's package.
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import dagster_project
from tests.end_to_end.server import free_port

REPOSITORY = Path(dagster_project.__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
DEBIAN = Path("/usr/lib/postgresql")
#: Generous: the machine may be busy, and nothing here measures time.
HEALTHY_SECONDS = 180
#: The variable by which the processes of a container are known.
MARK = "ATELIER_TEST_CONTAINER"
#: The ports that the files name.
PORTS = ("5432", "4000", "3000", "3100")
#: Who listens on which of them: a health check is a program, and is not run before somebody listens.
LISTENS = {"postgres": "5432", "code-location": "4000", "webserver": "3000", "pages": "3100"}
PAUSE = 0.2
#: ``${NAME}``, ``${NAME:-default}``, ``${NAME:?reason}``.
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def programs_of_postgres() -> Path:
    """The folder with ``initdb`` and ``postgres``; the test is skipped where there is none."""
    found = [file.parent for file in DEBIAN.glob("*/bin/initdb")]
    if named := shutil.which("initdb"):
        found.append(Path(named).resolve().parent)
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    return max(found, key=lambda path: int("".join(filter(str.isdigit, path.parent.name)) or 0))


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """A value of the compose file with its variables filled in, as compose does it.

    Raises:
        KeyError: a variable that has to be set is not; the error holds the reason that the file gives.
    """

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if variables.get(name):
            return variables[name]
        if kind == "-":
            return str(rest)
        raise KeyError(rest or name)

    return VARIABLE.sub(value, text)


@dataclass
class Containers:
    """The services, each a process with its children.

    Attributes:
        folder: what they write lies in it.
        port: where each port of the files is, on loopback.
        logs: what each service has said, over all its starts.
    """

    folder: Path
    port: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    logs: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.variables = {"POSTGRES_PASSWORD": secrets.token_urlsafe(16)}
        self._services: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._id = uuid.uuid4().hex
        self._postgres = programs_of_postgres()
        # Not below the tests' own folder, which other users may not enter.
        self._data = Path(tempfile.mkdtemp(prefix="atelier-postgres-"))
        image = re.search(r"^ENV ((?:.*\\\n)*.*)", (REPOSITORY / "deploy/Dockerfile").read_text(), re.MULTILINE)
        assert image
        self._image = dict(pair.split("=", 1) for pair in image[1].replace("\\\n", " ").split())
        self._folders = {
            "/var/lib/atelier": folder_of(self.folder / "atelier"),
            "/opt/atelier/deploy": folder_of(self.folder / "deploy"),
            "/var/lib/postgresql/data": self._data,
        }
        for file in ("dagster.yaml", "workspace.yaml"):
            text = (REPOSITORY / "deploy" / file).read_text()
            (self.folder / "deploy" / file).write_text(self._here(text))

    @property
    def home(self) -> Path:
        """The volume ``atelier``."""
        return self._folders["/var/lib/atelier"]

    @property
    def dagster(self) -> Path:
        """The folder with deploy/dagster.yaml."""
        return self._folders["/opt/atelier/deploy"]

    def environment(self, service: str) -> dict[str, str]:
        """The environment of a container: that of its image and that of its service, nothing of this process."""
        declared = self._services[service]["environment"]
        of_service = {name: filled_in(value, self.variables) for name, value in declared.items()}
        shared = {"HOME": str(self.folder), "LANG": "C.UTF-8", MARK: self._mark(service)}
        if service == "postgres":
            address = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port["5432"])}
            return {"PATH": f"{self._postgres}:{os.defpath}"} | shared | address | of_service
        # The image has the repository installed.
        path = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
        return {name: self._here(value) for name, value in (self._image | of_service | shared).items()} | path

    def start(self, service: str) -> None:
        """Start a service, as compose does at first and again when its process has ended; it is not waited for."""
        assert not self.is_up(service)
        self.logs[service] = self.folder / f"{service}.log"
        with self.logs[service].open("ab") as log:
            self._processes[service] = subprocess.Popen(
                self._command(service),
                cwd=REPOSITORY if service != "postgres" else self._data,
                env=self.environment(service),
                user=user_of_postgres() if service == "postgres" else None,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def is_up(self, service: str) -> bool:
        """Whether the first process of a service is there."""
        return service in self._processes and self._processes[service].poll() is None

    def wait_until_healthy(self, *services: str) -> None:
        """Run the health checks of services until they pass."""
        for service in services:
            deadline, port = time.monotonic() + HEALTHY_SECONDS, LISTENS.get(service)
            while (port and not listens(self.port[port])) or self.check(service).returncode:
                assert self.is_up(service), self.said(service)
                assert time.monotonic() < deadline, (self.check(service), self.said(service))
                time.sleep(PAUSE if port else 10 * PAUSE)

    def check(self, service: str) -> "subprocess.CompletedProcess[str]":
        """What the health check of a service says now."""
        kind, *words = self._services[service]["healthcheck"]["test"]
        words = [self._here(word) for word in words]
        command = ["sh", "-c", words[0].replace("$$", "$")] if kind == "CMD-SHELL" else words
        return self.run(service, *command)

    def run(self, service: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the container of a service to its end, as `docker compose run` or `exec` does."""
        environment = self.environment(service)
        program = shutil.which(command[0], path=environment["PATH"])
        assert program, command
        return subprocess.run(
            [program, *command[1:]], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )

    def kill(self, service: str) -> None:
        """Kill a service with all its processes, as a container ends with its first process.

        PostgreSQL is made to end at once without writing anything (its "immediate shutdown").
        """
        process = self._processes[service]
        if service == "postgres":
            process.send_signal(signal.SIGQUIT)
        while pids := list(self._pids(service)) if service != "postgres" else []:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        process.wait()

    def end(self) -> None:
        """Kill all services, the last one first; the database when nothing needs it any more."""
        for service in reversed(self._processes):
            self.kill(service)
        shutil.rmtree(self._data)

    def _mark(self, service: str) -> str:
        return f"{self._id}/{service}"

    def _pids(self, service: str) -> Iterator[int]:
        """The processes of a service, those included that have outlived who started them."""
        marked = f"{MARK}={self._mark(service)}".encode()
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended, or is somebody else's
                if marked in environ.read_bytes().split(b"\0"):
                    yield int(environ.parent.name)

    def said(self, *services: str) -> str:
        """The last of what services have said."""
        return "\n".join(f"{name}: {self.logs[name].read_text()[-3000:]}" for name in services or self.logs)

    def make_cluster(self) -> None:
        """What the image of PostgreSQL does before its first start: a cluster, a user with a password, a database."""
        environment, user, data = self.environment("postgres"), user_of_postgres(), str(self._data)
        secret = self._data.with_suffix(".secret")
        secret.touch(0o600)
        secret.write_text(environment["POSTGRES_PASSWORD"])
        if user is not None:
            for path in (self._data, secret):
                shutil.chown(path, user)
        owner = ["--username", environment["POSTGRES_USER"], "--pwfile", str(secret), "--auth", "scram-sha-256"]
        cluster = ["initdb", "--pgdata", data, *owner, "--no-sync", "--encoding", "UTF8"]
        create = f'CREATE DATABASE "{environment["POSTGRES_DB"]}"'
        for (program, *words), given in ((cluster, None), (["postgres", "--single", "-D", data, "postgres"], create)):
            command, options = [self._postgres / program, *words], {"env": environment, "user": user, "cwd": data}
            subprocess.run(command, input=given, text=True, check=True, capture_output=True, **options)
        secret.unlink()

    def _command(self, service: str) -> Sequence[str]:
        if service == "postgres":  # that of the image
            data, port = str(self._folders["/var/lib/postgresql/data"]), str(self.port["5432"])
            return [str(self._postgres / "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", ""]
        program, *words = (self._here(word.replace("$$", "$")) for word in self._services[service]["command"])
        found = shutil.which(program, path=self.environment(service)["PATH"])
        assert found, program
        return [found, *words]

    def _here(self, text: str) -> str:
        """A text of the files for this machine."""
        for there, here in self._folders.items():
            text = text.replace(there, str(here))
        for port in PORTS:
            text = re.sub(rf"\b{port}\b", str(self.port[port]), text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - it is taken away
        text = re.sub(r"\b(hostname: )postgres\b", r"\g<1>127.0.0.1", text)
        text = re.sub(r"\b(host: )code-location\b", r"\g<1>127.0.0.1", text)
        return text.replace("deploy/workspace.yaml", str(self.folder / "deploy" / "workspace.yaml"))


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def folder_of(path: Path) -> Path:
    """The folder, which exists then."""
    path.mkdir(parents=True, exist_ok=True)
    return path


def user_of_postgres() -> str | None:
    """PostgreSQL refuses to run as root: it is run as the user that Debian's package has made."""
    if os.geteuid() != 0:
        return None
    return "postgres" if "postgres" in {each.pw_name for each in pwd.getpwall()} else "nobody"
