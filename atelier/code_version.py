"""The version of code: a digest of modules and of what they import.

What belongs here: finding the modules that a module imports, at any depth, in this repository. What does not: what has
a version: stages of the daily DAG, results of studies, comparisons of speed. An edit of a report's template changes the
version of the report and of nothing else.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("assets", "atelier", "benchmarks", "resources", "sql")
#: What a package reads beside its modules.
DATA = {"atelier.report": "atelier/report/templates/*", "resources.publishing": "sql/views/*.sql"}

#: What draws in Dagster how a run went: nothing that is stored comes of it, and its version is nobody's.
ONLY_SHOWN = frozenset({"assets.training_curve"})

OURS = rf"(?:{'|'.join(PACKAGES)})\b"  # sqlalchemy is not ours
IMPORT = re.compile(rf"^[ ]*(?:from ({OURS}[\w.]*) import (\([^)]*\)|[^\n(]+)|import ({OURS}[\w.]*))", re.MULTILINE)
FOR_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ ]+.*\n|\n(?=[ ]))+", re.MULTILINE)
QUERY = re.compile(r"(?<!def )\bquery\((?:\"(\w+)\")?")


def code_version(*modules: str, alone: tuple[str, ...] = ()) -> str:
    """A short digest of modules and of all that they import from this repository: 12 hexadecimal digits.

    Args:
        modules: by dotted name.
        alone: modules that count, but not what they import.
    """
    code = hashlib.sha256()
    for file in sorted({file for module in reachable(modules).union(alone) for file in _files(module)}):
        code.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return code.hexdigest()[:12]


def packages_version(*packages: str) -> str:
    """A short digest of all modules of whole packages, for processes that are to run the same: 12 hexadecimal digits.

    Args:
        packages: by name, top-level.
    """
    code = hashlib.sha256()
    for file in sorted(file for package in packages for file in (ROOT / package).rglob("*.py")):
        code.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return code.hexdigest()[:12]


def reachable(modules: tuple[str, ...]) -> set[str]:
    """``modules``, and every module of this repository that they import at any depth, inside functions as well.

    What is :data:`ONLY_SHOWN` is left out, with what it alone imports.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(_imports(module) - ONLY_SHOWN)
    return found


@cache
def _imports(module: str) -> frozenset[str]:
    return frozenset(_imported_names(FOR_TYPES_ONLY.sub("", _path(module).read_text(encoding="utf-8"))))


def _imported_names(code: str) -> Iterator[str]:
    for package, names, plain in IMPORT.findall(code):
        if plain:
            yield plain
            continue
        modules = [
            f"{package}.{name.split(' as ')[0].strip()}" for name in names.strip("()").split(",") if name.strip()
        ]
        inner = [module for module in modules if _is_module(module)]
        yield from inner
        if len(inner) < len(modules):  # some of the names stand in the package's own __init__
            yield package


@cache
def _is_module(name: str) -> bool:
    stem = ROOT / name.replace(".", "/")
    return stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file()


def _path(module: str) -> Path:
    stem = ROOT / module.replace(".", "/")
    return stem.with_suffix(".py") if stem.with_suffix(".py").is_file() else stem / "__init__.py"


@cache
def _files(module: str) -> tuple[Path, ...]:
    """A module's file, the queries that it reads (all, where it has their names from elsewhere), its package's data."""
    path = _path(module)
    names = QUERY.findall(path.read_text(encoding="utf-8"))
    queries = [file for name in names for file in ROOT.glob(f"sql/{name or '*'}.sql")]
    data = [file for owner, pattern in DATA.items() if module.startswith(owner) for file in ROOT.glob(pattern)]
    return (path, *queries, *data)
