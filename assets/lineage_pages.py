"""Lineage pages, which show where a predicted value comes from, beside the daily page.

What belongs here: choosing a few values of a day, writing their pages. What does not: tracing a value
(:mod:`resources.attribute_lineage`), how its page looks (:mod:`atelier.report.lineage`).
"""

import hashlib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.errors import PartitionMissing
from resources.attribute_lineage import TABLE, Tracer
from sql import query

if TYPE_CHECKING:
    from atelier.report.lineage import LineageExample
    from resources.feature_store import FeatureStore


def write_examples(store: "FeatureStore", tracer: Tracer, ds: date, reports: Path) -> "list[LineageExample] | None":
    """Trace a few values of a day and write their pages; None where nothing was predicted.

    Pages of other values, which an earlier run of the day wrote, are removed.

    Args:
        store: the feature store.
        tracer: finds where the values come from.
        ds: the day.
        reports: the folder of the daily pages.
    """
    from atelier.report.index import page_name as day_page
    from atelier.report.lineage import LineageExample, lineage_page
    from atelier.report.page import Link

    try:
        with store.connect(as_of=ds, tables=[TABLE]) as con:
            chosen = con.sql(query("lineage_examples")).fetchall()
    except PartitionMissing:
        return None
    folder = reports / f"ds={ds}-lineage"
    pages = [folder / page_name(article, attribute) for _, _, article, attribute in chosen]
    back, examples = Link(f"../{day_page(ds)}#lineage", f"← The page of {ds}", "up"), []
    for page, (_, why, article, attribute) in zip(pages, chosen, strict=True):
        lineage = tracer.trace(article, attribute, ds, as_of=ds)
        write_page(lineage_page(lineage, tracer.image_root, back), page)
        examples.append(LineageExample(why, lineage, f"{folder.name}/{page.name}"))
    for other in set(folder.glob("*.html")) - set(pages):
        other.unlink()
    return examples


def write_page(text: str, target: Path) -> None:
    """Write a page atomically: a reader sees the old page or the new one, never a part."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f"{target.name}.new")
    staged.write_text(text, encoding="utf-8")
    staged.replace(target)


def page_name(article: str, attribute: str) -> str:
    """The file name of a value's page; a hash, because article and attribute may hold any character."""
    return hashlib.sha256(f"{article}\0{attribute}".encode()).hexdigest()[:16] + ".html"
