"""The lists of one model, made by this process or by workers of a cluster.

What belongs here: loading what makes lists from the store, in whichever process, and sharing the customers out. What
does not: what is made of a block of customers (:mod:`atelier.recommenders.served_lists`), the cluster
(:mod:`resources.cluster`), which customers get which lists (:mod:`assets.recommendations`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.compute import Compute

if TYPE_CHECKING:
    import pyarrow as pa

    from atelier.catalogue import Catalogue
    from atelier.recommenders.served_lists import ListMaker
    from resources.model_store import Bundle, ModelStore


@dataclass(frozen=True)
class ListRequest:
    """What makes the lists of one model.

    Attributes:
        models: the model store, which every machine sees under the same path or URL.
        model: the name and the id of its bundle.
        fallback: likewise, of the model that serves whom it cannot.
        catalogue: with the content that reasons are read from; None where there are none.
        k: the length of a list.
        explained_ranks: how many of the first ranks get reasons.
        batch_size: customers ranked for at once; None: as the models have it.
    """

    models: "ModelStore"
    model: tuple[str, str]
    fallback: tuple[str, str]
    catalogue: "Catalogue | None"
    k: int
    explained_ranks: int
    batch_size: int | None = None


def load_maker(request: ListRequest, device: str) -> "ListMaker":
    """What makes the lists of a request, loaded from the store.

    Args:
        request: what is asked for.
        device: where to compute.

    Raises:
        BundleError: a bundle is missing or damaged, here as well as on any other machine that does not see the store.
    """
    from atelier import recommenders
    from atelier.recommenders.base import BATCH
    from atelier.recommenders.served_lists import ListMaker

    model, fallback = (
        recommenders.load(request.models.bundle(*each).path, device) for each in (request.model, request.fallback)
    )
    return ListMaker(
        model,
        fallback,
        request.catalogue,
        k=request.k,
        explained_ranks=request.explained_ranks,
        batch_size=request.batch_size or BATCH,
    )


class SharedLists:
    """The lists of one model, by this process alone or, where the executor is a cluster, by its workers.

    Args:
        request: what makes the lists.
        compute: where.
    """

    def __init__(self, request: ListRequest, compute: Compute) -> None:
        self._request, self._compute = request, compute
        self._device = str(compute.apply())
        self._maker = load_maker(request, self._device)

    @property
    def model(self) -> Any:
        """The model."""
        return self._maker.model

    def lists(self, customers: Any, exclude_seen: bool, *, with_reasons: bool = True) -> "Iterator[pa.RecordBatch]":
        """The lists of ``customers``, in order; see :meth:`ListMaker.lists`."""
        if self._compute.executor == "local":
            yield from self._maker.lists(customers, exclude_seen, with_reasons=with_reasons)
            return
        from atelier.progress import progress
        from resources.cluster import over_blocks

        blocks = self._maker.blocks(customers, exclude_seen, with_reasons=with_reasons)
        given = {"request": self._request, "device": self._device.partition(":")[0]}
        made = over_blocks(self._compute, load_maker, given, blocks)
        for batches in progress(made, f"{self.model.name}: recommending", total=len(blocks), unit="block"):
            yield from batches


def request_of(
    models: "ModelStore",
    model: "Bundle",
    fallback: "Bundle",
    catalogue: "Catalogue | None",
    *,
    k: int,
    explained_ranks: int,
) -> ListRequest:
    """The request for the lists of a bundle; the arguments are the attributes of :class:`ListRequest`."""
    named, served = ((each.manifest.name, each.model_id) for each in (model, fallback))
    return ListRequest(models, named, served, catalogue, k, explained_ranks)
