"""Pictures: the album of a day's articles; the drawings of a study as files and in the UI; the folders of a study.

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

#: An image in metadata is stored with every event that tells of it: larger ones are named by their file.
LARGEST_IMAGE = 200_000  # bytes


def partition(step: Step, table: str, ds: date | None = None) -> "pd.DataFrame | None":
    """The partition of the step's day, or of another one; None where it was not made."""
    try:
        frame: pd.DataFrame = step.store.read(table, ds or step.ds).to_pandas()
    except PartitionMissing:
        return None
    return frame


def album_of(step: Step, ds: date | None = None) -> "Album":
    """The names of articles and the first photograph of each that has one.

    Args:
        step: whose store is read.
        ds: of which day; None: the step's. Where that was not ingested, no article has a name or a photograph.
    """
    from atelier.report.album import Album

    photographs, images = {}, partition(step, "images", ds)
    if images is not None:
        first = images.sort_values(["article_id", "shot"]).drop_duplicates("article_id")
        photographs = {article: Path(path) for article, path in zip(first["article_id"], first["path"], strict=True)}
    return Album(partition(step, "articles", ds), photographs, step.home.open_source().image_root)


def kept_folder(root: Path, study: str, ds: date) -> Path:
    """Where each result of a day's study is kept, so that a killed study goes on where it was; ``root``: the home's."""
    return root / "studies" / study / f"ds={ds}"


def pictures_folder(reports: Path, study: str, ds: date) -> Path:
    """Where the pictures of a day's study lie."""
    return reports / study / f"ds={ds}"


def keep_pictures(step: Step, folder: Path, drawings: "Iterable[Drawing]", asset_of: Callable[[str], str]) -> None:
    """Write pictures as SVG files, and put them into the metadata of the assets that they show.

    Args:
        step: the stage that made them.
        folder: where they go; whatever lies there is replaced.
        drawings: the pictures.
        asset_of: the asset that a picture of that name shows.
    """
    import shutil

    from atelier.report.figures import standalone

    shutil.rmtree(folder, ignore_errors=True)  # a study of less leaves none of another's behind
    folder.mkdir(parents=True)
    for drawing in drawings:
        path = folder / f"{drawing.name}.svg"
        path.write_text(standalone(drawing.svg), encoding="utf-8")
        step.note(asset_of(drawing.name), **{f"picture_{drawing.name}": markdown(_embedded(drawing, path))})


def _embedded(drawing: "Drawing", path: Path) -> str:
    """A picture as the UI shows it, with its caption; a large one by its file."""
    from base64 import b64encode

    content = path.read_bytes()
    if len(content) > LARGEST_IMAGE:
        return f"{drawing.caption} See {path}"
    return f"![{drawing.alt}](data:image/svg+xml;base64,{b64encode(content).decode()})\n\n{drawing.caption}"
