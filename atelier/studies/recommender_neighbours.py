"""The nearest neighbours of the recommender study: of a popular, a median and an unpopular article, by each model.

What belongs here: the choice of the query articles, and their nearest articles by each model of the study. What does
not: the comparison itself (:mod:`atelier.studies.recommender_study`), photographs
(:mod:`atelier.report.neighbours_picture`).
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import TRAIN_KINDS
from atelier.progress import progress
from atelier.recommenders import model_class
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_study import fit_model, made_by
from atelier.studies.results_cache import ResultsCache, cached

COLUMNS = ["model", "article_id", "popularity", "rank", "similar_article_id", "similarity"]
NEAREST = 3


class Neighbours(BaseModel):
    """The articles that one model finds nearest to the query articles, as n rows. Immutable.

    Attributes:
        article_id: the query article of each row.
        rank: the rank of the neighbour, from 1.
        similar_article_id: the neighbour.
        similarity: their cosine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    article_id: list[str]
    rank: list[int]
    similar_article_id: list[str]
    similarity: list[float]


def query_articles(train: Interactions, catalogue: Catalogue) -> dict[str, str]:
    """The most popular, the median and the least popular article of the training data.

    Popularity is the number of interactions that count as history; among articles with the same number the first by
    its id is taken. Only articles of the catalogue qualify, and if it has vectors only those with a vector.

    Args:
        train: the interactions that the models are trained on.
        catalogue: the retailer's articles.

    Returns:
        The article id by ``most``, ``median`` and ``least``; empty where no article qualifies.
    """
    learned = train.of_kinds(TRAIN_KINDS)
    counts = pd.Series(
        np.bincount(learned.articles, minlength=len(learned.article_ids)),
        index=learned.article_ids.values.to_pandas().astype("str"),
    )
    known = catalogue.frame["article_id"]
    if catalogue.vectors is not None:
        known = known[catalogue.vectors.any(axis=1).tolist()]
    counts = counts[(counts > 0) & counts.index.isin(known)]
    if counts.empty:
        return {}
    falling = counts.sort_index().sort_values(ascending=False, kind="stable")
    return {
        "most": str(falling.index[0]),
        "median": str(falling.index[(len(falling) - 1) // 2]),
        "least": str(counts[counts == counts.min()].sort_index().index[0]),
    }


def neighbours_of(
    train: Interactions,
    plan: RecommenderStudyPlan,
    catalogue: Catalogue,
    *,
    k: int = NEAREST,
    cache: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """The nearest neighbours by each model of the plan that has vectors, trained on all data with the first seed.

    Args:
        train: as for :func:`atelier.studies.recommender_study.run_study`.
        plan: the study's; models without vectors of articles are left out.
        catalogue: with vectors where a model reads content.
        k: neighbours of each article.
        cache: where results are cached; None: they are not.
        data: identifies ``train`` and ``catalogue``, for example by the versions of their tables.
        device: where models compute, as PyTorch names it.

    Returns:
        model, article_id, popularity (most, median, least), rank, similar_article_id, similarity.

    Raises:
        CachedResultError: a cached file is damaged.
        ValueError: ``cache`` without ``data``.
    """
    queries = query_articles(train, catalogue)
    vectors = {name: studied for name, studied in plan.models.items() if has_vectors(studied)}
    frames = [pd.DataFrame(columns=COLUMNS)] if not queries or not vectors else []
    for name, studied in progress(vectors.items() if queries else (), "nearest neighbours", unit="model"):
        parts = {"model": studied.model_dump(mode="json"), "seed": plan.seeds[0], "k": k, "articles": queries}
        nearest = partial(_nearest, train, catalogue, studied, plan.seeds[0], sorted(set(queries.values())), k, device)
        made = {"neighbours": parts, "made_by": made_by(), "device": device}
        found = cached(cache, data, made, Neighbours, nearest)
        by_article = pd.DataFrame({"popularity": list(queries), "article_id": list(queries.values())})
        frames.append(by_article.merge(pd.DataFrame(found.model_dump()), on="article_id").assign(model=name)[COLUMNS])
    return pd.concat(frames, ignore_index=True)


def has_vectors(studied: StudiedModel) -> bool:
    """Whether the model has a vector for each article, by which they can be compared."""
    from atelier.recommenders.vector_model import VectorRecommender

    return issubclass(model_class(studied.recommender), VectorRecommender)


def _nearest(
    train: Interactions,
    catalogue: Catalogue,
    studied: StudiedModel,
    seed: int,
    articles: list[str],
    k: int,
    device: str,
) -> Neighbours:
    model = fit_model(train, studied, seed, catalogue, device=device)
    columns = model.similar(articles, k=k)[list(Neighbours.model_fields)]
    return Neighbours.model_validate(columns.to_dict("list"))
