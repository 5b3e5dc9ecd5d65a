"""What commands do with a terminal.

What belongs here: printing safely, and ending without noise. What does not: any command.
"""

import atexit
import logging
import os
import sys
from typing import NoReturn


def clean(text: str) -> str:
    """The text without control characters, which a terminal would execute."""
    return "".join(character if character.isprintable() else "?" for character in text)


def end_process(status: int) -> NoReturn:
    """End the process with all that it has to do at its end, but without tearing the interpreter down.

    Where a thread of Dagster still runs then, DuckDB's types outlive the interpreter, and forty lines about leaks
    follow the result.
    """
    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
