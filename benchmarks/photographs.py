"""Photographs of articles with what is known of them, for the benchmarks of what looks alike, and their vectors.

What belongs here: the data sets hm, mango, myntra and sample in one form, drawing some of their articles,
encoding by the pipeline's own path. What does not: comparisons.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.images.embedding import Encoder
from atelier.images.manifest import build_manifest
from atelier.sources.sample import SampleConfig, catalogue, drawing, taxonomy
from atelier.sources.sample.generate import stream
from benchmarks import hm_articles, mango_articles, myntra_attributes
from resources.embedding_cache import EmbeddingCache

ATTRIBUTES = ("type", "colour", "pattern")
REAL = ("hm", "mango", "myntra")
NAMES = {
    "hm": {"product_type_name": "type", "colour_group_name": "colour", "graphical_appearance_name": "pattern"},
    "myntra": {"articleType": "type", "baseColour": "colour"},
}
READERS = {
    "hm": hm_articles.photographed,
    "mango": mango_articles.photographed,
    "myntra": myntra_attributes.photographs,
}
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photographs:
    """The photographs of a data set.

    Attributes:
        name: of the data set.
        root: the folder of the files.
        files: one row for each photograph, article by article: article_id, path, the article's attributes, and
            product_code where there are styles.
    """

    name: str
    root: Path
    files: pd.DataFrame

    @property
    def attributes(self) -> list[str]:
        """Those of ``ATTRIBUTES`` that the data have."""
        return [name for name in ATTRIBUTES if name in self.files]

    @property
    def articles(self) -> pd.DataFrame:
        """One row for each article: the one of its first photograph."""
        return self.files.drop_duplicates("article_id", ignore_index=True)

    def of(self, articles: npt.NDArray[np.bool_]) -> "Photographs":
        """The photographs of some of the articles, bool [articles]."""
        chosen = self.files["article_id"].isin(self.articles.loc[articles, "article_id"])
        return replace(self, files=self.files[chosen].reset_index(drop=True))


def open_photographs(name: str, data: Path) -> Photographs:
    """All articles of a real data set that have a photograph, of which each has one."""
    files = READERS[name](data / name).rename(columns=NAMES.get(name, {}))
    return Photographs(name, data / name / "images", files)


def draw_sample(folder: Path, count: int, seed: int) -> Photographs:
    """Draw the photographs of a sample retailer's ``count`` articles, one to four of each.

    Beside the attributes, ``second_type`` and ``second_colour`` are those of the garment that is shown beside the
    article, missing where there is none.
    """
    config = SampleConfig(articles=count, seed=seed)
    articles = catalogue.draw_articles(config, stream(config, "catalogue"))
    shots = drawing.plan_shots(articles, stream(config, "shots"))
    drawing.draw_photographs(folder, config, articles, shots)
    values = [drawing.values_of(articles, each) for each in range(len(articles))]
    known = pd.DataFrame(values, dtype="object")[["colour", "pattern"]]
    known["type"] = np.array(taxonomy.TYPE_NAMES, dtype=object)[articles.types]
    ids, own, beside = articles.ids[shots.articles], known.iloc[shots.articles], shots.second >= 0
    second = known.iloc[shots.second][["type", "colour"]].reset_index(drop=True)
    second.loc[~beside] = None
    files = {"article_id": ids, "product_code": articles.product_codes[shots.articles]}
    paths = [f"{article}_{shot}.jpg" for article, shot in zip(ids, shots.shots, strict=True)]
    whole = pd.concat([pd.DataFrame(files), own.reset_index(drop=True), second.add_prefix("second_")], axis=1)
    return Photographs("sample", folder, whole.assign(path=paths))


def drawn(photos: Photographs, limit: int, seed: int) -> Photographs:
    """At most ``limit`` of the articles, at random."""
    return photos.of(np.random.default_rng(seed).permutation(len(photos.articles)) < limit)


def encoded(photos: Photographs, encoder: Encoder, folder: Path | None = None) -> Vectors:
    """The vectors of photographs as the daily job makes them, float32 [photographs, dim].

    The files are checked and digested, and their vectors are read from the cache of vectors in ``folder``, which names
    the encoder; those that it lacks are encoded first. Without a folder nothing is kept.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as scratch:
            return encoded(photos, encoder, Path(scratch))
    folder.mkdir(parents=True, exist_ok=True)
    shots = photos.files.groupby("article_id").cumcount()
    manifest = build_manifest(photos.files[["article_id", "path"]].assign(shot=shots), photos.root)
    if len(manifest.rejected):
        first = manifest.rejected.iloc[0]
        raise SystemExit(f"error: {len(manifest.rejected)} photographs are no use, first {first.path}: {first.reason}")
    cache, listed = EmbeddingCache(folder), manifest.accepted
    missing = set(cache.missing(listed["digest"].tolist(), encoder.encoder_id))
    new = listed[listed["digest"].isin(missing)].drop_duplicates("digest")
    found = encoder.encode(new["path"].tolist(), photos.root, new["digest"].tolist(), description=photos.name)
    if len(new):
        cache.append(encoder.encoder_id, new["digest"].tolist(), found.vectors)
    return cache.read(listed["digest"].tolist(), encoder.encoder_id)
