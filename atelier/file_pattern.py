"""The path of one file for DuckDB, which takes a path for a pattern of file names.

What belongs here: that one rule, for all who read files through DuckDB. What does not: reading them
(:mod:`atelier.sources.reading`, ``resources.views``).
"""

import glob
from pathlib import Path


def file_pattern(file: Path | str) -> str:
    """The pattern that matches this one file and no other: ``*``, ``?`` and ``[`` in its path stand for themselves.

    Args:
        file: a local path, or the URL of a file in object storage.
    """
    return glob.escape(str(file))
