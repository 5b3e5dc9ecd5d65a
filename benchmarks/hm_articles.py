"""H&M's articles as the benchmarks of attributes read them: text, photographs and nine attributes, no metadata.

What belongs here: reading ``articles.csv``, ``images`` and files of image vectors. What does not: splits, models,
metrics; the pipeline's own reading of these files (:mod:`atelier.sources.hm`).

Metadata are left out because the attributes could be derived from them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

ATTRIBUTES = (
    "product_type_name",
    "product_group_name",
    "graphical_appearance_name",
    "colour_group_name",
    "perceived_colour_value_name",
    "perceived_colour_master_name",
    "index_group_name",
    "section_name",
    "garment_group_name",
)
TEXTS = {"prod_name": "name", "detail_desc": "description"}
TEST_SHARE = 0.32  # of the styles (product_code)


def read_articles(folder: Path) -> pd.DataFrame:
    """article_id, product_code, name, description and the nine attributes, in the order of ``articles.csv``."""
    columns = ["article_id", "product_code", *TEXTS, *ATTRIBUTES]
    return pd.read_csv(folder / "articles.csv", dtype="str", usecols=columns)[columns].rename(columns=TEXTS)


def photographed(folder: Path) -> pd.DataFrame:
    """The articles that have a photograph, with its ``path`` below ``images``, in the order of paths."""
    root = folder / "images"
    found = sorted(root.rglob("*.jpg"))
    files = pd.DataFrame({"article_id": [p.stem for p in found], "path": [str(p.relative_to(root)) for p in found]})
    return files.astype("str").merge(read_articles(folder), on="article_id", how="inner", validate="one_to_one")


def with_vectors(articles: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The articles with a vector in an NPZ file (``names``, and ``vectors`` float32 [n, dim]), as ``embeddings``."""
    with np.load(file) as arrays:
        found = pd.Series(list(arrays["vectors"][:, None]), index=arrays["names"].astype(str))
    chosen = articles[articles["article_id"].isin(found.index)].reset_index(drop=True)
    return chosen.assign(embeddings=chosen["article_id"].map(found))


def with_labels(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns that models read (``embeddings`` if there are any), and the labels: article_id, attribute, value."""
    read = [name for name in ("article_id", "product_code", *TEXTS.values(), "embeddings") if name in frame]
    return frame[read], frame.melt("article_id", list(ATTRIBUTES), var_name="attribute").dropna()
