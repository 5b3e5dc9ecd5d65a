"""Pictures: a day's photographs by article; the plots of a study as files and in the UI; the folders of a study.

What belongs here: finding photographs, writing drawings, putting them into metadata, naming the folders of a study.
What does not: drawing (:mod:`atelier.report`).
"""

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from assets.step import Step, markdown
from atelier.errors import PartitionMissing

if TYPE_CHECKING:
    import pandas as pd

    from atelier.report.album import Album
    from atelier.report.drawing import Drawing
    from resources.feature_store import FeatureStore
    from resources.retailer import Home

#: Dagster stores an image in metadata with every event of the asset, so a larger one is only named by its file.
LARGEST_IMAGE = 200_000  # bytes


def partition(step: Step, table: str, ds: date | None = None) -> "pd.DataFrame | None":
    """The partition of the step's day, or of another one; None where it was not made."""
    return stored(step.store, table, ds or step.ds)


def stored(store: "FeatureStore", table: str, ds: date) -> "pd.DataFrame | None":
    """The partition of a day; None where it was not made."""
    try:
        frame: pd.DataFrame = store.read(table, ds).to_pandas()
    except PartitionMissing:
        return None
    return frame


def album_of(step: Step, ds: date | None = None) -> "Album":
    """The names of articles and the first photograph of each that has one, see :func:`album`.

    Args:
        step: its store is read.
        ds: the day; None: the step's.
    """
    return album(step.home, step.store, ds or step.ds)


def album(home: "Home", store: "FeatureStore", ds: date) -> "Album":
    """The names of articles and the first photograph of each that has one.

    Args:
        home: whose source has the photographs.
        store: holds the articles and which photographs they have.
        ds: the day. If it was not ingested, no article has a name or a photograph.
    """
    from atelier.report.album import Album

    photographs, images = {}, stored(store, "images", ds)
    if images is not None:
        first = images.sort_values(["article_id", "shot"]).drop_duplicates("article_id")
        photographs = {article: Path(path) for article, path in zip(first["article_id"], first["path"], strict=True)}
    return Album(stored(store, "articles", ds), photographs, home.open_source().image_root)


def results_folder(root: Path, study: str, ds: date) -> Path:
    """Where the results of a day's study are cached, so that a killed study resumes; ``root``: the home's folder."""
    return root / "studies" / study / f"ds={ds}"


def pictures_folder(reports: Path, study: str, ds: date) -> Path:
    """The folder of the pictures of a day's study."""
    return reports / study / f"ds={ds}"


def write_pictures(step: Step, folder: Path, drawings: "Iterable[Drawing]", asset_of: Callable[[str], str]) -> None:
    """Write pictures as SVG files, and put them into the metadata of the assets that they show.

    Args:
        step: the stage that made them.
        folder: where they are written; its former contents are removed.
        drawings: the pictures.
        asset_of: gives the asset that the picture of a given name belongs to.
    """
    import shutil

    from atelier.report.figures import standalone

    shutil.rmtree(folder, ignore_errors=True)  # an earlier, larger study may have left pictures that this one lacks
    folder.mkdir(parents=True)
    for drawing in drawings:
        path = folder / f"{drawing.name}.svg"
        path.write_text(standalone(drawing.svg), encoding="utf-8")
        shown = embedded(drawing, f"See {path}")
        step.note(asset_of(drawing.name), **{f"picture_{drawing.name}": markdown(shown)})


def embedded(drawing: "Drawing", otherwise: str) -> str:
    """A picture with its caption as Markdown.

    Args:
        drawing: the picture.
        otherwise: what follows the caption in place of a picture that is too large for metadata.
    """
    from base64 import b64encode

    from atelier.report.figures import standalone

    content = standalone(drawing.svg).encode()
    if len(content) > LARGEST_IMAGE:
        return f"{drawing.caption} {otherwise}"
    return f"![{drawing.alt}](data:image/svg+xml;base64,{b64encode(content).decode()})\n\n{drawing.caption}"
