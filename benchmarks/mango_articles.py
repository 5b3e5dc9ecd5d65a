"""Mango's products as the benchmarks of photographs read them: their photographs and attributes, no outfits.

What belongs here: reading ``product_data.csv`` and ``images``. What does not: outfits (:mod:`atelier.outfits.files`),
splits, models, metrics.
"""

from pathlib import Path

import pandas as pd

#: The columns of ``product_data.csv`` by the names that the benchmarks give them.
NAMES = {
    "des_product_type": "type",
    "des_product_family": "family",
    "des_agrup_color_eng": "colour",
    "des_fabric": "fabric",
    "des_line": "line",
    "des_sex": "sex",
}
ATTRIBUTES = tuple(NAMES.values())


def photographed(folder: Path) -> pd.DataFrame:
    """The products that have a photograph: article_id, product_code (the model), path below ``images``, attributes."""
    table = pd.read_csv(folder / "product_data.csv", dtype="str").rename(columns=NAMES)
    table["article_id"] = table["cod_modelo_color"]
    table["product_code"] = table["article_id"].str.partition("-")[0]
    table["path"] = table["des_filename"].str.rsplit("/", n=1).str[-1]
    there = {path.name for path in (folder / "images").iterdir()}
    return table.loc[table["path"].isin(there), ["article_id", "product_code", "path", *ATTRIBUTES]].reset_index(
        drop=True
    )
