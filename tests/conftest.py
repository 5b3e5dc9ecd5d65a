"""What every test may use: the folder of real data, quiet and repeatable libraries."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Until all tests are collected, nearly everything that is made is kept: to look for garbage took a third of that time.
gc.disable()

from resources.compute import pin_threads

# Before NumPy loads anywhere: ALS is several times faster with one BLAS thread, and nothing may phone home.
pin_threads()
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("atelier", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("atelier")

#: Made once for all tests that need them: a small retailer through the whole DAG, Dagster's services, an S3 server.
pytest_plugins = ["tests.end_to_end.fixtures", "tests.end_to_end.server", "tests.objects"]

REPOSITORY = Path(__file__).resolve().parent.parent

#: The modules that use ``house`` or ``ingested``. They run in one process, so that these are made once: they take two
#: minutes.
HOUSE = frozenset(
    f"tests/{folder}/test_{name}.py"
    for folder, names in {
        "assets": "day_facts image_backbone isolation recommendations recommender_study sequence_study tune",
        "browser": "looks ui",
        "end_to_end": "broken_contracts check_history daily_dag documentation forgotten_customer gates killed_backfill "
        "killed_run lineage object_store ray runs_at_once",
    }.items()
    for name in names.split()
)


class ByModule(LoadScopeScheduling):
    """Hands tests out module by module, and all modules of ``HOUSE`` as one."""

    def _split_scope(self, nodeid: str) -> str:
        scope = nodeid.split("::", 1)[0]
        return "house" if scope in HOUSE else scope


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """How tests are handed out to the processes, whatever ``--dist`` says."""
    return ByModule(config, log)


#: Whoever uses one of these waits for a run of the whole DAG, or for Dagster's services.
SLOW_FIXTURES = frozenset({"house", "ingested", "make_house", "server"})


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spare modules and tests to the collector of garbage, once they are there: they stay to the end."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `make test-fast` leaves out: tests of the whole DAG, of servers and of browsers."""
    for item in items:
        module = item.nodeid.split("::", 1)[0]
        if {"house", "ingested"} & set(getattr(item, "fixturenames", ())) and module not in HOUSE:
            raise pytest.UsageError(f"{module} uses house or ingested: name it in HOUSE of tests/conftest.py")
        whole = any(item.get_closest_marker(name) for name in ("end_to_end", "browser"))
        if whole or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where there is none."""
    folder = Path(os.environ.get("ATELIER_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent; set ATELIER_REAL_DATA to try on it")
    return folder
