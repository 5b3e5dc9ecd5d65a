"""Dagster's storage in PostgreSQL: identifiers are replaced, and the tables' files hold nothing of them any more."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from resources.forgetting.databases import forget_in_postgres
from resources.forgetting.mentions import Mentions

CUSTOMER, OTHER = "c00000123", "c000001234"


def server_folder() -> Path | None:
    """Where the programs of a PostgreSQL server lie; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """The folder of a server of its own, which listens on a socket in it alone."""
    programs = server_folder()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed")
    folder = Path(tempfile.mkdtemp(prefix="atelier-pg-"))
    owner: dict[str, Any] = {}
    if os.getuid() == 0:  # a server refuses to run as root
        shutil.chown(folder, "postgres")
        owner = {"user": "postgres"}
    data, quiet = folder / "data", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([programs / "initdb", "-D", data, "-U", "atelier", "-A", "trust"], check=True, **quiet, **owner)
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    control = [programs / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "start"], check=True, **quiet, **owner)
    try:
        yield folder
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, **quiet, **owner)
        shutil.rmtree(folder)


def test_identifiers_are_replaced_and_the_tables_written_anew(cluster: Path) -> None:
    url = f"postgresql+psycopg2://atelier@/postgres?host={cluster}"
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    event = json.dumps({"message": f"unknown: '{CUSTOMER}'", "other": OTHER, "at": 1.5})
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE event_logs (id SERIAL PRIMARY KEY, event TEXT, ordinal INTEGER)"))
        connection.execute(sa.text("CREATE TABLE tags (key TEXT, value VARCHAR(40))"))
        connection.execute(sa.text("INSERT INTO event_logs (event, ordinal) VALUES (:e, 1), (NULL, 2)"), {"e": event})
        connection.execute(sa.text("INSERT INTO tags VALUES ('who', :c), ('who', :o)"), {"c": CUSTOMER, "o": OTHER})
    storage = SimpleNamespace(postgres_url=url)
    instance = cast("Any", SimpleNamespace(run_storage=storage, event_log_storage=storage, schedule_storage=storage))
    assert list(forget_in_postgres(instance, Mentions([CUSTOMER]))) == [("postgres", 2)]
    with engine.connect() as connection:
        (found,) = connection.execute(sa.text("SELECT event FROM event_logs WHERE ordinal = 1")).scalars()
        assert json.loads(found) == {"message": "unknown: 'forgotten'", "other": OTHER, "at": 1.5}
        assert set(connection.execute(sa.text("SELECT value FROM tags")).scalars()) == {"forgotten", OTHER}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CHECKPOINT"))
    whole = f"{CUSTOMER}'".encode()  # the other's identifier begins alike
    assert not [
        path for path in (cluster / "data" / "base").rglob("*") if path.is_file() and whole in path.read_bytes()
    ]
    assert list(forget_in_postgres(instance, Mentions([CUSTOMER]))) == [("postgres", 0)]


def test_another_storage_is_left_alone() -> None:
    storage = SimpleNamespace()
    instance = cast("Any", SimpleNamespace(run_storage=storage, event_log_storage=storage, schedule_storage=storage))
    assert list(forget_in_postgres(instance, Mentions([CUSTOMER]))) == []
