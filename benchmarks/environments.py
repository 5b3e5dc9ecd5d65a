"""Environments of their own for libraries that only comparisons need: Atelier installs none of them.

What belongs here: making an environment from a lock, and where it lies. What does not: what is run in it (the modules
named ``…_side``), and what is compared.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "var" / "benchmarks"
PEERS = Path(__file__).with_name("requirements-peers.lock")
"""The peers that live with today's NumPy: faiss, usearch, pandas, polars, LightFM's successor."""


def environment(folder: Path, lock: Path) -> Path:
    """The Python interpreter of an environment with the packages of a lock, which is made if it is missing.

    Args:
        folder: where the environment is, or will be.
        lock: pinned requirements; an environment that was made from another text is made anew.

    Raises:
        subprocess.CalledProcessError: a package could not be had, or not be built.
    """
    python, made = folder / "bin" / "python", folder / lock.name
    wanted = lock.read_text(encoding="utf-8")
    if not made.exists() or made.read_text(encoding="utf-8") != wanted:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([*uv, "pip", "sync", "--quiet", "--python", str(python), str(lock)], check=True)
        made.write_text(wanted, encoding="utf-8")
    return python


def peers(folder: Path = ENVIRONMENTS / "peers") -> Path:
    """The Python interpreter of the environment of :data:`PEERS`."""
    return environment(folder, PEERS)
