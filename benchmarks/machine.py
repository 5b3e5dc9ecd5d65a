"""The machine that a figure was measured on, and the versions that took part.

What belongs here: what is told of them, and in what two of them differ. What does not: what the machine can do at most
(:mod:`benchmarks.machine_limits`).
"""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import BaseModel

from benchmarks.environments import PEERS
from resources.compute import processor_name

LIBRARIES = (
    *("numpy", "torch", "torchvision", "pillow", "duckdb", "pandas", "pyarrow"),
    *("scipy", "scikit-learn", "implicit", "annoy"),
)
"""What computes in Atelier's own environment, on either side."""
ELSEWHERE = {
    PEERS: ("faiss-cpu", "usearch", "pandas", "polars", "rectools-lightfm"),
    PEERS.with_name("requirements-rectools.lock"): ("rectools",),
}
"""The peers that have an environment of their own, by the lock that it is made from."""
INSTRUCTIONS = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX-BF16"}
"""Instructions for products in bfloat16, by PyTorch's names."""


class Machine(BaseModel, frozen=True, extra="forbid"):
    """Where something is measured.

    Attributes:
        processor: its name.
        instructions: those of :data:`INSTRUCTIONS` that it has.
        cores: how many the system sees.
        python: its version.
        libraries: version by name, of :data:`LIBRARIES`.
        peers: version by name, of :data:`ELSEWHERE`.
    """

    processor: str
    instructions: tuple[str, ...]
    cores: int
    python: str
    libraries: dict[str, str]
    peers: dict[str, str]

    @property
    def hardware(self) -> str:
        """The processor, its instructions and the number of cores."""
        instructions = " and ".join(self.instructions) or f"neither {' nor '.join(INSTRUCTIONS.values())}"
        return f"{self.processor} with {instructions}, {self.cores} cores"

    @property
    def versions(self) -> dict[str, str]:
        """The version of Python, of every library and peer."""
        peers = {f"{name} of the peers": number for name, number in self.peers.items()}
        return {"Python": self.python, **self.libraries, **peers}

    def __str__(self) -> str:
        """Three lines: the hardware, our libraries, the peers in environments of their own."""
        libraries = {"Python": self.python, **self.libraries}
        return f"{self.hardware}\n{_listed(libraries)}\npeers elsewhere: {_listed(self.peers)}"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    features = torch.cpu.get_capabilities()
    return Machine(
        processor=processor_name(),
        instructions=tuple(shown for name, shown in INSTRUCTIONS.items() if features.get(name)),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        libraries={name: version(name) for name in LIBRARIES},
        peers={name: _locked(lock, name) for lock, names in ELSEWHERE.items() for name in names},
    )


def difference(then: Machine, now: Machine) -> str:
    """In what a machine differs from another, in words; nothing where it does not."""
    if then.hardware != now.hardware:
        return f"measured on {then.hardware}"
    before, after = then.versions, now.versions
    return ", ".join(
        f"{name} was {before.get(name, 'absent')}"
        for name in {**after, **before}
        if before.get(name) != after.get(name)
    )


def _locked(lock: Path, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{lock} pins no {name}")
    return found.group(1)


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
