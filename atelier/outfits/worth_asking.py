"""Which pairs are worth asking people about: those whose answer would teach the outfit model most.

What belongs here: how much an answer is worth, and choosing different questions. What does not: what follows from
answers (:mod:`atelier.outfits.feedback`), the page that asks (:mod:`atelier.report.pairs`).
"""

import numpy as np
import pandas as pd

from atelier.arrays import Float64s
from atelier.outfits.compatibility import OutfitModel
from atelier.outfits.completion import numbers

COLUMNS = ["article_id", "complement_article_id", "probability", "shown", "worth"]


def worth_asking(
    model: OutfitModel, listed: pd.DataFrame, looked_at: pd.Series, answered: set[tuple[str, str]], count: int
) -> pd.DataFrame:
    """Listed pairs by how uncertain the model is of them times how often they are shown, and different from each other.

    The model's score of a pair is the log of how much likelier it makes the one beside the other than among its family.
    If as many pairs go together as do not, the probability that a pair does is therefore the logistic function of it,
    and the uncertainty its entropy (D. Lewis and W. Gale, A Sequential Algorithm for Training Text Classifiers, SIGIR
    1994). A pair is shown whenever somebody looks at the article, the less the further down the list it stands
    (1 / log2(1 + rank), as in NDCG). So that questions differ, what a pair is worth is divided by its place among the
    pairs of the same two families and by its place among those of the same complement: greedy choice with returns that
    diminish.

    Args:
        model: a fitted one.
        listed: ``article_id``, ``complement_article_id``, ``rank`` (from 1): what is shown.
        looked_at: how often each article was looked at, indexed by ``article_id``; of those that it lacks, never.
        answered: pairs that were answered, each as its two identifiers in their order; they are not asked again.
        count: questions, at most.

    Returns:
        ``article_id``, ``complement_article_id``, ``probability`` (that they go together, by the model), ``shown``,
        ``worth`` (bits times how often they are shown), the most worth first. Each pair comes once, whichever of its
        articles lists the other.

    Raises:
        UnknownIdentifier: the model was not fitted with an article.
    """
    pairs = _distinct(listed, looked_at, answered)
    if pairs.empty:
        return pd.DataFrame(columns=COLUMNS)
    probability = _probability(model, pairs)
    pairs = pairs.assign(probability=probability, worth=_entropy(probability) * pairs["shown"])
    families = model.fitted.inputs.families
    ends = [families[_places(model, pairs[name])] for name in ("article_id", "complement_article_id")]
    pairs["families"] = np.minimum(*ends) * (families.max() + 1) + np.maximum(*ends)
    order = ["worth", "article_id", "complement_article_id"]
    pairs = pairs.sort_values(order, ascending=[False, True, True], ignore_index=True)
    repeats = [pairs.groupby(name).cumcount() + 1 for name in ("families", "complement_article_id")]
    pairs["order"] = pairs["worth"] / (repeats[0] * repeats[1])
    chosen = pairs.sort_values(["order", *order], ascending=[False, False, True, True], ignore_index=True)
    return chosen.loc[: count - 1, COLUMNS]


def _distinct(listed: pd.DataFrame, looked_at: pd.Series, answered: set[tuple[str, str]]) -> pd.DataFrame:
    """Each unanswered pair once, with how often it is shown in both directions; named as it is shown most."""
    often = looked_at.reindex(listed["article_id"]).fillna(0).to_numpy(np.float64)
    shown = listed[["article_id", "complement_article_id"]].assign(shown=often / np.log2(1 + listed["rank"].to_numpy()))
    ends = np.sort(shown[["article_id", "complement_article_id"]].to_numpy(str), axis=1)
    shown["pair"] = list(map(tuple, ends.tolist()))
    order = ["pair", "shown", "article_id"]
    shown = shown[~shown["pair"].isin(answered)].sort_values(order, ascending=[True, False, True])
    total = shown.groupby("pair")["shown"].sum()
    first = shown.drop_duplicates("pair").set_index("pair")
    return first.assign(shown=total).reset_index(drop=True)


def _places(model: OutfitModel, article_ids: pd.Series) -> np.ndarray:
    """The number that the model gives each article, int64 [m]; they may repeat."""
    names = article_ids.drop_duplicates()
    return pd.Series(model.fitted.articles.find(names.tolist()), index=names)[article_ids].to_numpy()


def _probability(model: OutfitModel, pairs: pd.DataFrame) -> Float64s:
    """That each pair goes together, from the mean of its scores in both directions."""
    for name in ("article_id", "complement_article_id"):
        numbers(model, pairs[name].drop_duplicates())  # names what is unknown
    left, right = (_places(model, pairs[name]) for name in ("article_id", "complement_article_id"))
    scorer = model.comparable_scorer()
    scores = (scorer(left[:, None], right[:, None]) + scorer(right[:, None], left[:, None]))[:, 0] / 2
    found: Float64s = 1 / (1 + np.exp(-scores))
    return found


def _entropy(probability: Float64s) -> Float64s:
    """Bits of a yes or no of some probability."""
    sure = np.clip(probability, 1e-12, 1 - 1e-12)
    found: Float64s = -(sure * np.log2(sure) + (1 - sure) * np.log2(1 - sure))
    return found
