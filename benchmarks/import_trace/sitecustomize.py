"""Loaded by every Python process whose PYTHONPATH begins with this folder: it writes down what imports cost.

What belongs here: the hooks. What does not: what is made of them (:mod:`benchmarks.step_cost`). A process appends lines
of JSON to the file $IMPORT_TRACE: one when it starts (its id, whose child it is as ``multiprocessing`` sees it, its
arguments) and one for each import that was not part of another one (its processor seconds).
"""

import importlib._bootstrap as bootstrap
import json
import os
import sys
import time
from typing import Any

_TRACE = os.environ.get("IMPORT_TRACE")
_find_and_load = bootstrap._find_and_load  # type: ignore[attr-defined]
_within = False


def _write(**line: Any) -> None:
    file = os.open(_TRACE or os.devnull, os.O_WRONLY | os.O_APPEND)
    os.write(file, (json.dumps({"pid": os.getpid(), **line}) + "\n").encode())
    os.close(file)


def _traced(name: str, import_: Any) -> Any:
    global _within
    if _within:
        return _find_and_load(name, import_)
    _within, started = True, time.process_time()
    try:
        return _find_and_load(name, import_)
    finally:
        _within = False
        seconds = time.process_time() - started
        if seconds > 0.001:
            _write(imported=name, seconds=seconds)


def _forked(_: object) -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    _write(parent=parent.pid if parent else None, arguments=sys.orig_argv)


class _Here:
    """Something for multiprocessing to remember; it calls back in each process that it forks."""


if _TRACE:
    _write(parent=None, arguments=sys.orig_argv)
    bootstrap._find_and_load = _traced  # type: ignore[attr-defined]
    if "multiprocessing" in " ".join(sys.orig_argv):
        from multiprocessing import util

        _HERE = _Here()
        util.register_after_fork(_HERE, _forked)
