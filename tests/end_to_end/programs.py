"""Programs, each in a process forked from one that has imported the libraries, for test_documentation.

What belongs here: running them. What does not: anything of Atelier's. A program starts with no name defined and imports
what it needs itself; of a library it finds at once what another process has loaded, which takes longer than most
programs do. Exit handlers do not run, and ``sys.exit`` counts as a failure. Run as a script it reads paths of programs
and answers each with its exit status; what a program says lies beside it.
"""

import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

#: What the pages' programs load, directly or not. None of it starts a thread, which a fork would lose.
LIBRARIES = (
    *("duckdb", "implicit.als", "matplotlib.pyplot", "optuna", "pandas", "pyarrow.parquet", "sklearn"),
    *("torch._dynamo", "torchvision"),
)
#: What a fork must find in its parent: no thread of pyarrow's, and threads of OpenMP that will not spin.
ENVIRONMENT = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OMP_WAIT_POLICY": "passive"}


@dataclass(frozen=True)
class Programs:
    """The process that programs are forked from.

    Attributes:
        folder: where they run, and are written.
        asked: takes their paths.
        answers: gives their exit statuses.
    """

    folder: Path
    asked: IO[str]
    answers: IO[str]

    def run(self, name: str, code: str) -> tuple[int, str]:
        """The exit status of a program, and what it has said."""
        path = self.folder / f"{name}.py"
        path.write_text(code, encoding="utf-8")
        print(path, file=self.asked, flush=True)
        answer = self.answers.readline()
        assert answer, "the process that programs are forked from has ended"
        return int(answer), path.with_suffix(".log").read_text(encoding="utf-8")


@contextmanager
def programs(folder: Path, environment: dict[str, str]) -> Iterator[Programs]:
    """Runs programs in ``folder``, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-P", __file__],
        cwd=folder,
        env=environment | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Programs(folder, process.stdin, process.stdout)
            process.stdin.close()
        except BaseException:  # a program that hangs would be waited for
            process.kill()
            raise


def main() -> None:
    """Import the libraries and run programs until there are no more."""
    for library in LIBRARIES:
        import_module(library)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        child = os.fork()
        if child == 0:
            _become(path)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(path: Path) -> None:
    """Run a program as an interpreter does, and end."""
    log = os.open(path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 0
    try:
        runpy.run_path(str(path), run_name="__main__")
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
