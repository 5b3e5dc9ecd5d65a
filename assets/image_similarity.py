"""What looks alike: the index of photographs, the neighbours of every article in it, and what replaces sold-out ones.

What belongs here: which vectors of the day are compared, with which filters. What does not: the comparison
(:mod:`atelier.images.similarity`), the choice of replacements (:mod:`atelier.images.replacement`), neighbours by what
customers did (:mod:`assets.retrieval`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from assets.recommenders import GROUP, catalogue
from assets.retrieval import SIMILAR
from assets.stage import stage
from assets.step import Step

if TYPE_CHECKING:
    import pandas as pd

    from atelier.images.similarity import ExactImages, ImageIndex

#: The neighbours by photographs are this part of ``similar_articles``.
MODEL = "image"
INDEX = "image_index"
REPLACEMENTS = "out_of_stock_replacement"
READ = ("articles", "images", "image_embeddings")


class ImageSimilarityConfig(dg.Config):
    """What looks alike.

    Attributes:
        k: neighbours of each article.
        same_type: whether neighbours have to be of the same product type.
        other_style: whether the article's own style, its other colours for example, is left out of its neighbours.
        replacements: replacements of each article out of stock.
        lowest_price: the lowest similar price of a replacement, as a multiple of the article's.
        highest_price: the highest one.
        trees: of the index.
        search: nodes inspected in a look-up.
        seed: of the index's random planes.
        queries: articles on which the index's recall is measured, at most; chosen by a fixed hash.
        least_recall: the recall@10 below which the check warns.
    """

    k: int = 10
    same_type: bool = False
    other_style: bool = True
    replacements: int = 5
    lowest_price: float = 0.5
    highest_price: float = 2.0
    trees: int = 50
    search: int = 5000
    seed: int = 0
    queries: int = 1000
    least_recall: float = 0.9


def write_similarity(step: Step, config: ImageSimilarityConfig) -> None:
    """Compare all photographs of the day; write the index, the nearest articles, and what replaces sold-out ones."""
    from atelier.images.replacement import replacements
    from atelier.images.similarity import ExactImages, Filters, ImageIndex, ImageIndexConfig

    step.compute.apply()
    articles, encoder_id = pictured_articles(step)
    exact = ExactImages.build(articles)
    filters = Filters(same_type=config.same_type, other_style=config.other_style)
    grown = ImageIndexConfig(**config.model_dump(include={"trees", "search", "seed"}))
    index = ImageIndex.build(exact, encoder_id, grown, filters)
    bundle = step.save_model(INDEX, index.save, tables=READ, seed=config.seed)
    near = exact.similar(k=config.k, filters=filters)
    step.write(SIMILAR, near.assign(model=MODEL, model_id=bundle.model_id), part=MODEL)
    instead = replacements(exact, config.replacements, (config.lowest_price, config.highest_price))
    step.write(REPLACEMENTS, instead)
    photographed = len(exact.pictured.codes)
    step.note(INDEX, articles=photographed, dimension=len(exact.centre), encoder_id=encoder_id)
    step.note(f"{SIMILAR}/{MODEL}", articles=int(near["article_id"].nunique()), of_articles=len(articles))
    step.note(REPLACEMENTS, **_counts(instead))
    _check_recall(step, index, exact, config)


def pictured_articles(step: Step) -> "tuple[pd.DataFrame, str]":
    """The articles of the day with their image vectors and stock, and the encoder; its id is empty without vectors."""
    from resources.article_inputs import article_inputs

    inputs = article_inputs(step.store, step.cache, step.ds)
    stock = catalogue(step).frame[["article_id", "in_stock"]]
    with step.connect("image_embeddings") as con:
        encoders = [row[0] for row in con.sql("SELECT DISTINCT encoder_id FROM image_embeddings").fetchall()]
    return inputs.merge(stock, on="article_id", validate="one_to_one"), encoders[0] if encoders else ""


def _counts(instead: "pd.DataFrame") -> dict[str, int]:
    """How many articles are out of stock, and for how many there is a replacement or none."""
    gaps = int((instead["basis"] == "nothing").sum())
    absent = int(instead["article_id"].nunique())
    return {"out_of_stock": absent, "replaced": absent - gaps, "without_replacement": gaps}


def _check_recall(step: Step, index: "ImageIndex", exact: "ExactImages", config: ImageSimilarityConfig) -> None:
    """Compare the index's neighbours with the exact ones, on a sample of articles."""
    from atelier.recommenders.index_recall import sample_by_hash

    ids = exact.pictured.ids.take(exact.pictured.codes)
    asked = ids.take(sample_by_hash(ids, config.queries))
    wanted, found = (each.similar(asked, k=10) for each in (exact, index))
    both = wanted.merge(found, on=["article_id", "similar_article_id"])
    recall = len(both) / len(wanted) if len(wanted) else 1.0
    step.note(INDEX, recall_at_10=recall)
    step.check(
        "image_index_recall",
        recall >= config.least_recall,
        f"recall@10 of the index of photographs is {recall:.1%}; the threshold is {config.least_recall:.0%};"
        " more trees or a larger search raise it",
    )


image_similarity = stage(
    name="image_similarity",
    description="Articles in stock that look most alike, by their photographs; the index for photographs from outside.",
    produces=[INDEX, f"{SIMILAR}/{MODEL}", REPLACEMENTS],
    deps=READ,
    group=GROUP,
    checks={"image_index_recall": "Whether the index finds enough of the nearest articles that exact search finds."},
    isolated=True,
)(write_similarity)

STAGES = (image_similarity,)
