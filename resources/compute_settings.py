"""The section ``[compute]`` of ``atelier.toml``: how much of a machine a step may use, and whether it may use several.

What belongs here: the fields of that section and the rules that each must obey. What does not: the rest of the
settings (:mod:`resources.retailer`), what a step computes on (:mod:`resources.compute`), the cluster itself
(:mod:`resources.cluster`).
"""

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from resources.compute import ADDRESS, Compute, Device, ExecutorName

MEMORY = re.compile(r"[1-9]\d*(\.\d+)? ?[MGT]i?B", re.IGNORECASE)
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}")


class ComputeSettings(BaseModel):
    """How much of the machine a step may use. It may be edited at any time, because no data depend on it.

    Two steps may run at once, and a step that builds features holds two DuckDBs: four limits must fit in memory.

    Attributes:
        device: for embedding and training: ``cpu``, ``cuda``, or ``auto``, which is CUDA where torch finds one.
        threads: of torch and ALS on the CPU, and of each DuckDB. torch repeats its numbers at a fixed count only.
        memory_limit: what one DuckDB may hold before it spills to disk, for example ``4GB``.
        executor: ``local``, or ``ray``: photographs are encoded, customers ranked for, and trials of ``tune`` run on a
            Ray cluster.
        address: host and port of the cluster's head; absent: this machine's own, :data:`~resources.compute.ADDRESS`.
        workers: how many processes of the cluster work on one step at most; absent: as many as it has room for.
        training_workers: how many processes of the cluster train one network together, each on its share of every
            batch; absent, or 1: networks are trained by the step's own process, also with the executor ``ray``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Device = "auto"
    threads: int = Field(default=2, ge=1)
    memory_limit: str = "4GB"
    executor: ExecutorName = "local"
    address: str | None = None
    workers: int | None = Field(default=None, ge=1)
    training_workers: int | None = Field(default=None, ge=1)

    @field_validator("memory_limit")
    @classmethod
    def _with_unit(cls, value: str) -> str:
        if not MEMORY.fullmatch(value):
            raise ValueError(f"{value!r} is not an amount of memory; write a number and MB, GB or GiB, such as 4GB")
        return value

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and not HOST_AND_PORT.fullmatch(value):
            raise ValueError(
                f"{value!r} is no host and port; write those of the cluster's head, such as {ADDRESS}, without ray://: "
                "the machine that runs the steps joins the cluster"
            )
        return value

    @model_validator(mode="after")
    def _cluster_to_train_on(self) -> Self:
        if (self.training_workers or 1) > 1 and self.executor == "local":
            raise ValueError(
                f'training_workers is {self.training_workers}, and executor is "local": processes train together on a '
                'Ray cluster only; write executor = "ray", or remove training_workers'
            )
        return self


def compute_of(settings: ComputeSettings) -> Compute:
    """What a step computes on, as the settings say."""
    address = settings.address or ADDRESS
    return Compute(
        settings.device, settings.threads, settings.executor, address, settings.workers, settings.training_workers or 1
    )
