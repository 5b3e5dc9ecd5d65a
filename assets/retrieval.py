"""Retrieval: the similar articles of every article, and the index for look-ups.

What belongs here: the neighbours of every article, by each model that has vectors, and the index of one of them. What
does not: the search itself (:mod:`atelier.recommenders`, :mod:`atelier.search`).
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.recommenders import GROUP
from assets.stage import Stage, stage
from assets.step import Step, markdown
from atelier.recommenders import MODELS
from atelier.recommenders.declaration import Declaration
from resources.compute import gpu_pool

if TYPE_CHECKING:
    import pandas as pd

#: The model whose vectors are indexed.
INDEXED = "als"
SIMILAR = "similar_articles"
#: The bundle's file with the recall by search effort.
RECALL = "recall.parquet"


class SimilarConfig(dg.Config):
    """The lists of neighbours.

    Attributes:
        k: their length.
    """

    k: int = 10


class IndexConfig(dg.Config):
    """The index, and how its recall is measured. A field left empty is the index's default.

    Attributes:
        trees: the number of trees of each forest.
        search: nodes inspected in a look-up; empty: the index's default or, where that finds too little, as many as
            ``least_recall`` takes.
        seed: of the random planes.
        queries: articles and customers on which recall is measured, at most; chosen by a fixed hash.
        least_recall: the recall@10 below which the check warns.
    """

    trees: int | None = None
    search: int | None = None
    seed: int = 0
    queries: int = 1000
    least_recall: float = 0.9


def build_index(step: Step, config: IndexConfig) -> None:
    """Annoy's forests of the als model's articles: by cosine for similarity, by inner product for recommendations."""
    from atelier import recommenders
    from atelier.recommenders.article_index import ArticleIndex, ArticleIndexConfig
    from atelier.recommenders.index_recall import enough_nodes, recall_curve
    from atelier.recommenders.vector_model import VectorRecommender

    bundle = step.bundle(f"{INDEXED}_model")
    device = str(step.compute.apply())
    model: VectorRecommender[Any] = recommenders.load(bundle.path, device)  # type: ignore[assignment]
    chosen = config.model_dump(include={"trees", "search", "seed"}, exclude_none=True)
    index = ArticleIndex.build(model, ArticleIndexConfig(**chosen))
    curve = recall_curve(index, model, queries=config.queries)
    if config.search is None:
        nodes = enough_nodes(curve, config.least_recall)
        index, curve = index.searching(nodes), curve.assign(used=curve["nodes"] == nodes)

    def save(folder: Path) -> None:
        index.save(folder)
        curve.to_parquet(folder / RECALL, index=False)

    step.save_model("article_index", save, tables=(), models=[bundle], seed=config.seed)
    used = curve[curve["used"]].set_index("metric")
    step.note("article_index", articles=int(model.ranked.sum()), dimension=index.dimension, **index.config.model_dump())
    step.note("article_index", **{f"{metric}_recall_at_10": float(r) for metric, r in used["recall"].items()})
    step.note("article_index", recall_by_effort=markdown(_effort_table(curve)))
    least = float(used["recall"].min())
    step.check(
        "index_recall",
        least >= config.least_recall,
        f"recall@10 of the index is at least {least:.1%}; the threshold is {config.least_recall:.0%};"
        " more trees or a larger search raise it",
    )


def _effort_table(curve: "pd.DataFrame") -> str:
    """Recall@10 by nodes inspected, as Markdown; the index's own effort is marked."""
    lines = ["| metric | nodes inspected | recall@10 | |", "|---|---:|---:|---|"]
    for row in curve.itertuples():
        lines.append(f"| {row.metric} | {row.nodes:,} | {row.recall:.3f} | {'used' if row.used else ''} |")
    return "\n".join(lines)


article_index = stage(
    name="article_index",
    produces=["article_index"],
    deps=[f"{INDEXED}_model"],
    group=GROUP,
    checks={"index_recall": "Whether the index finds enough of the nearest articles that exact search finds."},
    isolated=True,
    recommender=INDEXED,
    code=[MODELS[INDEXED].module],
)(build_index)


def similar_of(model: str) -> str:
    """The asset of a model's neighbours: a part of the table ``similar_articles``."""
    return f"{SIMILAR}/{model}"


def write_neighbours(name: str, step: Step, config: SimilarConfig) -> None:
    """Write the nearest articles in stock to every article that the model of that name ranks."""
    from atelier import recommenders

    device, bundle = str(step.compute.apply()), step.bundle(f"{name}_model")
    near = recommenders.load(bundle.path, device).similar(k=config.k)
    step.write(SIMILAR, near.assign(model=name, model_id=bundle.model_id), part=name)
    step.note(similar_of(name), articles=int(near["article_id"].nunique()))


def neighbours_stage(model: Declaration) -> Stage:
    """The stage that makes a model's neighbours."""
    declare = stage(
        name=f"{SIMILAR}_{model.name}",
        description=f"The nearest articles in stock to every article that {model.name} ranks.",
        produces=[similar_of(model.name)],
        deps=[f"{model.name}_model"],
        group=GROUP,
        config=SimilarConfig,
        isolated=True,
        pool=gpu_pool(),
        recommender=model.name,
        code=[model.module],
    )
    return declare(partial(write_neighbours, model.name))


#: The models with vectors, by which articles can be compared.
COMPARING = tuple(model for model in MODELS.values() if model.has_vectors)
STAGES = (article_index, *(neighbours_stage(model) for model in COMPARING))
