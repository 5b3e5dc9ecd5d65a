"""Images: the photographs of each day, and their vectors.

What belongs here: the manifest of each day and the encoding of new photographs. What does not: decoding and backbones
(:mod:`atelier.images`), the storage of vectors (:mod:`resources.embedding_cache`).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg

from assets.raw import CHECKS, ingest, land
from assets.stage import stage
from assets.step import Step
from atelier.errors import DamagedFile, PartitionMissing
from resources.compute import gpu_pool
from resources.encoders import chosen_backbone
from resources.pointers import PointerError
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from atelier.images import Encoder
    from atelier.images.embedding import EncodedImages
    from atelier.sources import Landed
    from resources.image_memory import ImageMemory
    from resources.model_store import Bundle

GROUP = "images"


#: The share of the listed photographs that has to be usable.
USABLE = 0.99
#: Photographs whose vectors are kept together: what a killed run loses at most.
KEPT = 4096


@stage(
    produces=["images"],
    group="raw",
    checks=CHECKS | {"images_decoded": f"Whether at least {USABLE:.0%} of the listed photographs can be used."},
    ranged=True,
)
def images(step: Step) -> None:
    """The photographs that can be decoded, with their digests."""
    from resources.image_memory import ImageMemory
    from resources.landing_zone import noted_files

    source, listed = step.home.open_source(), dict.fromkeys(step.days, 0)
    with ImageMemory(step.home.storage) as memory, noted_files(step.home, source, "images", step.days):
        ingest(step, "images", _inspected(land(step, source, "images"), source.image_root, memory, listed))
        step.note("images", files_read=memory.files_read)
    for day, rows in listed.items():
        share = step.rows_written("images", day) / rows if rows else 1.0
        said = f"images of {day}: {share:.1%} of the listed photographs can be used"
        step.check("images_decoded", share >= USABLE, said, day, share=share)


def _inspected(
    landings: "Iterator[tuple[date, Landed]]", root: Path, memory: "ImageMemory", listed: dict[date, int]
) -> "Iterator[tuple[date, Landed]]":
    """The listings with each file's digest and size; photographs that cannot be used become rejected rows.

    ``listed`` gets the number of photographs that each day lists.
    """
    from resources.frames import empty_table
    from resources.image_memory import concatenate

    for day, landed in landings:
        listed[day] = landed.accepted.num_rows
        if not landed.accepted.num_rows:  # the folder of images may not exist
            yield day, replace(landed, accepted=empty_table(REGISTRY["images"]))
            continue
        manifest, refused = memory.inspect(landed.accepted, root)
        yield day, replace(landed, accepted=manifest, rejected=concatenate(landed.rejected, refused))


class EncoderConfig(dg.Config):
    """Which encoder. Without backbone and weights it is that of atelier.toml: nightly runs must not change it.

    Attributes:
        backbone: any torchvision backbone by name, or ``small``; if set, a promoted backbone is not used.
        weights: ``DEFAULT``, the path of a .safetensors file, or ``none`` for seeded ones.
        precision: ``auto``, ``float32`` or ``bf16``.
        batch_size: images encoded together; empty: 32 on a processor, 256 on a GPU.
        decoding: where photographs are decoded and scaled: ``host``, ``device``, or ``auto``: on a GPU where there is
            one. Vectors of either are those of another encoder.
        compiled: whether one program is compiled of the network, which a GPU gains by; it needs a C compiler.
    """

    backbone: str | None = None
    weights: str | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"
    batch_size: int | None = None
    decoding: Literal["auto", "host", "device"] = "auto"
    compiled: bool = False


@stage(
    produces=["image_embeddings"],
    deps=["images"],
    promoted_deps=["image_backbone"],
    group=GROUP,
    checks={
        "images_encoded": "Whether every photograph of the day has a vector.",
        "vectors_have_length": "Whether no vector has length 0, with which nothing can be compared.",
        "encoder_not_from_future": "Whether the encoder has learned from no label of a later day.",
    },
    pool=gpu_pool() or "image_embeddings",
)
def image_embeddings(step: Step, config: EncoderConfig) -> None:
    """Fills the cache with the vectors of the day's photographs; a photograph that is already in it is not encoded."""
    import pandas as pd

    from resources.encoders import record_backbone

    photographs = step.read("images").drop_duplicates("digest")
    encoder, backbone = build_encoder(step, config)
    for path in step.cache.mend(encoder.encoder_id):
        step.log.warning(f"{path} was damaged and was removed; the photographs that need its vectors are encoded again")
    if backbone is not None:
        record_backbone(step.home.storage, encoder.encoder_id, backbone.model_id)
        step.note("image_embeddings", image_backbone=backbone.model_id)
    missing = set(step.cache.missing(photographs["digest"].tolist(), encoder.encoder_id))
    new = photographs[photographs["digest"].isin(missing)].sort_values("digest")
    failed = encode_new(step, encoder, new)
    digests = [digest for digest in photographs["digest"].tolist() if digest not in failed]
    norms = norms_of(step, digests, encoder.encoder_id, missing)
    step.write(
        "image_embeddings",
        pd.DataFrame(
            {"digest": digests, "encoder_id": encoder.encoder_id, "dimension": encoder.dimension, "norm": norms}
        ).astype({"digest": "str", "encoder_id": "str"}),
    )
    step.note("image_embeddings", encoded=len(new) - len(failed), already_cached=len(photographs) - len(new))
    computed_on = {"executor": step.compute.executor, **step.compute.describe()}
    step.note("image_embeddings", encoder_id=encoder.encoder_id, **computed_on)
    _check_vectors(step, failed, norms)
    _check_encoder(step, backbone)


def norms_of(step: Step, digests: list[str], encoder_id: str, new: set[str]) -> "npt.NDArray[np.floating]":
    """The norms of the vectors of ``digests``; those that yesterday's table has are reused, so that few are computed.

    Vectors are read some at a time: those of a first day may be more than memory holds.

    Args:
        step: the day, the store and the cache.
        digests: distinct; all of them are in the cache.
        encoder_id: the encoder that made the vectors.
        new: digests encoded in this run, whose norms are computed even if yesterday's table has them.

    Returns:
        float64 ``[len(digests)]``, aligned with ``digests``; the same numbers with and without yesterday's table.
    """
    import numpy as np

    known = _norms_of_day(step, step.ds - timedelta(days=1), encoder_id)
    norms = known[~known.index.isin(new)].reindex(digests).to_numpy(copy=True)
    unknown = np.flatnonzero(np.isnan(norms))
    for places, vectors in step.cache.parts([digests[i] for i in unknown], encoder_id):
        norms[unknown[places]] = np.linalg.norm(vectors, axis=1)
    return norms


def _norms_of_day(step: Step, ds: date, encoder_id: str) -> "pd.Series[float]":
    """The norms of the encoder's vectors in the table of ``ds``, by digest; empty where it is not there or damaged."""
    import pandas as pd

    none = pd.Series(dtype="float64", index=pd.Index([], dtype="str"))
    try:
        stored = step.store.read("image_embeddings", ds).select(["digest", "encoder_id", "norm"]).to_pandas()
    except PartitionMissing:
        return none
    except (DamagedFile, PointerError) as error:  # it would only have saved work
        step.log.warning(f"no norm of {ds} is reused: {error}")
        return none
    norms: pd.Series[float] = stored[stored["encoder_id"] == encoder_id].set_index("digest")["norm"]
    return norms


def _check_vectors(step: Step, failed: set[str], norms: "npt.NDArray[np.floating]") -> None:
    step.check("images_encoded", not failed, f"{len(failed)} photographs could not be encoded")
    zero = int((norms == 0).sum())
    step.check("vectors_have_length", zero == 0, f"{zero} of {len(norms)} image vectors have length 0")


def _check_encoder(step: Step, backbone: "Bundle | None") -> None:
    """Warn where the encoder was trained on labels of later days, because nothing else shows that."""
    learned_until = None if backbone is None else date.fromisoformat(backbone.manifest.training_day)
    ahead = learned_until is not None and learned_until > step.ds
    step.check(
        "encoder_not_from_future",
        not ahead,
        f"photographs of {step.ds} are encoded with a backbone that learned from labels of {learned_until}: figures of "
        "this day are better than they could have been"
        if ahead
        else "the encoder has seen nothing of later days",
    )


def build_encoder(step: Step, config: EncoderConfig) -> "tuple[Encoder, Bundle | None]":
    """The encoder of photographs, and the bundle of the backbone in it; None if it was not fine-tuned here.

    The launchpad's choice comes first, then the promoted backbone, then what ``atelier init`` wrote.

    Raises:
        BundleError: the promoted backbone is missing or damaged.
        WeightsError: the weights cannot be loaded.
    """
    from atelier.images import Encoder, FineTuned
    from atelier.images.loading import DECODE_THREADS

    named = step.home.settings.encoder
    device = str(step.compute.apply())
    how = config.model_dump(include={"precision", "batch_size", "decoding", "compiled"})
    how["threads"] = max(DECODE_THREADS, step.compute.threads)  # one thread would let files wait for one another
    if named.promoted and config.backbone is None and config.weights is None:
        bundle = step.models.bundle("image_backbone", named.promoted)
        tuned = FineTuned.load(bundle.path)
        return Encoder(tuned.backbone, device=device, **how), bundle
    name, weights, preprocessing = chosen_backbone(named, config.backbone, config.weights)
    return Encoder.build(name, weights, preprocessing, device=device, **how), None


def encode_new(step: Step, encoder: "Encoder", new: "pd.DataFrame") -> set[str]:
    """Encode the photographs ``new`` into the cache, some thousands at a time, so that a killed run loses little.

    Returns:
        The digests that could not be encoded.
    """
    failed: set[str] = set()
    writer = step.cache.writer(encoder.encoder_id, new["digest"].tolist())
    for digests, encoded in _encoded(step, encoder, new):
        writer.append(digests[encoded.ok].tolist(), encoded.vectors)
        failed |= set(digests[~encoded.ok])
        for error in encoded.errors:
            step.log.warning(f"not encoded: {error}")
    return failed


def _encoded(step: Step, encoder: "Encoder", new: "pd.DataFrame") -> "Iterator[tuple[pd.Series[str], EncodedImages]]":
    """The digests of :data:`KEPT` photographs at a time with their vectors, by this process or by a cluster's."""
    from resources.image_worker import encoded_chunks

    root = step.home.open_source().image_root
    made = encoded_chunks(encoder, root, new["path"].tolist(), new["digest"].tolist(), KEPT, step.compute)
    for start, encoded in zip(range(0, len(new), KEPT), made, strict=True):
        yield new["digest"].iloc[start : start + KEPT], encoded


STAGES = (images, image_embeddings)
