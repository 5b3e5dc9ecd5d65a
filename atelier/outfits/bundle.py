"""The files of an outfit model.

What belongs here: which fields, arrays and tables an outfit model has on disk. What does not: how files of bundles are
written and read (:mod:`atelier.bundles`), the model (:mod:`atelier.outfits.compatibility`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
import torch
from pydantic import BaseModel, ConfigDict

from atelier import bundles
from atelier.bundles import Array
from atelier.devices import own_random_state
from atelier.outfits.article_inputs import Inputs
from atelier.outfits.config import OutfitConfig
from atelier.outfits.network import Ensemble
from atelier.outfits.outfits import Outfits
from atelier.outfits.pair_statistics import PairStatistics
from atelier.search.ragged import RaggedLists

ARTICLES = "articles.parquet"
FILES = (ARTICLES, bundles.WEIGHTS)
NETWORK, INPUTS, COUNTED, ACCEPTED, REJECTED = "network.", "inputs.", "counted.", "accepted.", "rejected."
READ_OF_ARTICLES = ("images", "words", "codes", "families")
"""The fields of :class:`~atelier.outfits.article_inputs.Inputs`."""


class OutfitBundle(BaseModel):
    """config.json of a saved outfit model.

    Attributes:
        model: its name.
        format: of the files; it rises with a change that old code cannot read, or new code cannot read of old.
        config: of the model.
        outfits: how many it was trained on.
        arrays: the shape of each array in weights.safetensors.
        files: the SHA-256 of the other files.
    """

    model_config = ConfigDict(extra="forbid")

    model: Literal["outfits"] = "outfits"
    format: int = 3
    config: OutfitConfig
    outfits: int
    arrays: dict[str, list[int]]
    files: dict[str, str]


@dataclass(frozen=True, eq=False)
class Stored:
    """What an outfit model has on disk.

    Attributes:
        config: of the model.
        article_ids: ``pa.StringArray [n]``, in the order in which the model numbers articles.
        inputs: of the n articles.
        counted: over the outfits of training.
        network: the trained one.
        accepted: the pairs and outfits that people accepted; their names are not stored.
        rejected: those that people rejected; likewise.
    """

    config: OutfitConfig
    article_ids: Any
    inputs: Inputs
    counted: PairStatistics
    network: Ensemble
    accepted: Outfits
    rejected: Outfits


def write_bundle(folder: Path, stored: Stored) -> None:
    """Write an outfit model; the same model gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = _arrays(stored)
    bundles.write_table(folder / ARTICLES, pa.table({"article_id": stored.article_ids}))
    bundles.write_arrays(folder, arrays)
    described = OutfitBundle(
        config=stored.config,
        outfits=stored.counted.outfits,
        arrays=bundles.shapes_of(arrays),
        files=bundles.digests(folder, FILES),
    )
    bundles.write_config(folder, described)


def _arrays(stored: Stored) -> dict[str, Array]:
    together = stored.counted.together
    counted: dict[str, Array] = {
        "together": together.data,
        "columns": together.indices.astype(np.int64),
        "starts": together.indptr.astype(np.int64),
        "frequency": stored.counted.frequency,
    }
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in stored.network.state_dict().items()}
    return {
        **{NETWORK + name: array for name, array in weights.items()},
        **{INPUTS + name: getattr(stored.inputs, name) for name in READ_OF_ARTICLES},
        **{COUNTED + name: array for name, array in counted.items()},
        **{ACCEPTED + name: getattr(stored.accepted.members, name) for name in ("starts", "codes")},
        **{REJECTED + name: getattr(stored.rejected.members, name) for name in ("starts", "codes")},
    }


def read_bundle(folder: Path) -> Stored:
    """Read what :func:`write_bundle` wrote.

    Raises:
        BundleError: a file is missing, damaged or of another bundle, or the bundle has another format.
    """
    described = bundles.read_config(folder, OutfitBundle)
    bundles.check_digests(folder, FILES, described.files)
    arrays = bundles.read_arrays(folder, described.arrays)
    ids = bundles.read_table(folder / ARTICLES, ("article_id",)).column("article_id").combine_chunks()
    with bundles.reading(folder / bundles.WEIGHTS):
        return _stored(described, ids, arrays)


def _stored(described: OutfitBundle, ids: Any, arrays: dict[str, Array]) -> Stored:
    inputs = Inputs(**bundles.under(arrays, INPUTS))
    counts = bundles.under(arrays, COUNTED)
    size = (len(ids), len(ids))
    together = sp.csr_array((counts["together"], counts["columns"], counts["starts"]), shape=size)
    counted = PairStatistics.of_counts(together, counts["frequency"], described.outfits, inputs.codes)
    values, families = tuple(len(table) for table in counted.pmi), int(inputs.families.max(initial=0)) + 1
    with own_random_state(torch.device("cpu"), described.config.seed):  # drawn weights are replaced at once
        network = Ensemble(inputs, values, families, described.config)
    weights = {name: torch.from_numpy(array) for name, array in bundles.under(arrays, NETWORK).items()}
    network.load_state_dict(weights)
    accepted, rejected = (_nameless(bundles.under(arrays, name), len(ids)) for name in (ACCEPTED, REJECTED))
    return Stored(described.config, ids, inputs, counted, network, accepted, rejected)


def _nameless(arrays: dict[str, Array], n_articles: int) -> Outfits:
    """Outfits whose members alone were stored."""
    members = RaggedLists(**arrays)
    return Outfits([str(place) for place in range(len(members))], members, n_articles)
