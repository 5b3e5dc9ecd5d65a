"""What commands that rank for one customer share: the served recommender of a day, and the customer's history.

What belongs here: loading the models, leaving out candidates that they do not know, a history with what is in the bag.
What does not: ranking (:mod:`atelier.recommenders`), the commands' options and output.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from atelier.errors import AtelierError
from atelier.recommenders import FALLBACK
from resources.champions import served_bundles
from resources.promotions import serving_model

if TYPE_CHECKING:
    import pandas as pd

    from atelier.recommenders.base import Recommender
    from resources.retailer import Home

IN_BAG = "SELECT article_id FROM articles WHERE article_id IN (SELECT unnest($bag))"
HISTORY = """
    SELECT customer_id, article_id, occurred_at, kind FROM interactions
    WHERE customer_id = $customer ORDER BY ds, ordinal"""


def served_day(home: "Home", day: datetime | None) -> date:
    """The day that is asked for, or the newest one on which the served recommender was trained.

    Raises:
        PartitionMissing: that day has no such recommender, or no day has; the message names the job that trains it.
    """
    from resources.model_store import ModelStore

    models, name = ModelStore(home.storage), f"{serving_model(home, day.date() if day else date.max)}_model"
    ds = day.date() if day else models.last_day(name)
    models.pointer(name, ds)
    return ds


def rank_for(
    home: "Home",
    ds: date,
    customer: str,
    candidates: Sequence[str] | None = None,
    *,
    k: int,
    bag: Sequence[str] = (),
    exclude_seen: bool = True,
) -> "pd.DataFrame":
    """The best articles in stock for a customer by the served recommender of a day.

    Args:
        home: its promotions and settings name the served model.
        ds: whose models rank, and whose interactions are the history.
        customer: may be unknown where there is a bag, which then is all that is known of them.
        candidates: the only articles that may be ranked; those that the model cannot rank are left out. None: all.
        k: length of the list.
        bag: articles in the customer's bag now, the last one put in last; they are not recommended.
        exclude_seen: leave out what the customer had purchased.

    Returns:
        ``article_id``, ``score``, ``rank``, ``model`` (the served one, or popular, which ranks for whom it cannot).

    Raises:
        AtelierError: the customer or an article of the bag is unknown.
        PartitionMissing: the models of that day were not made.
    """
    import pandas as pd

    from atelier import recommenders

    loaded = [recommenders.load(bundle.path) for bundle in served_bundles(home, ds, FALLBACK)]
    history = _history(home, ds, customer, bag)
    for model in loaded:
        known = _with_history(model, history, customer, bag)
        if known is None:
            continue
        chosen = _candidates(known, candidates, bag)
        listed = known.recommend([customer], k, exclude_seen, chosen) if len(chosen) else pd.DataFrame()
        if len(listed):
            return listed[["article_id", "score", "rank"]].assign(model=model.name)
    if not len(history):
        raise AtelierError(f"there is no customer {customer!r} on {ds}")
    return pd.DataFrame({"article_id": [], "score": [], "rank": [], "model": []})


def _history(home: "Home", ds: date, customer: str, bag: Sequence[str]) -> "pd.DataFrame":
    """What the customer did up to a day, and behind it what is in the bag at the end of that day."""
    import pandas as pd

    with home.open_store().connect(as_of=ds, tables=["interactions", "articles"]) as con:
        past = con.execute(HISTORY, {"customer": customer}).df()
        known = {article for (article,) in con.execute(IN_BAG, {"bag": list(bag)}).fetchall()}
    if strangers := [article for article in bag if article not in known]:
        raise AtelierError(f"there is no article {', '.join(map(repr, strangers))} on {ds} to be in the bag")
    now = pd.DataFrame({"article_id": list(bag)}, dtype="str").assign(
        customer_id=customer, occurred_at=datetime.combine(ds, time(23, 59, 59)), kind="bag"
    )
    return pd.concat([each for each in (past, now) if len(each)], ignore_index=True) if len(past) or bag else past


def _with_history(
    model: "Recommender[Any]", history: "pd.DataFrame", customer: str, bag: Sequence[str]
) -> "Recommender[Any] | None":
    """The model as it knows the customer, with the bag where there is one; None where it cannot rank for them."""
    if bag:
        model = model.with_histories(history)
    elif model.customer_profiles.ids.encode([customer], unknown="minus_one")[0] < 0:
        return None
    return model if model.can_serve([customer])[0] else None


def _candidates(model: "Recommender[Any]", candidates: Sequence[str] | None, bag: Sequence[str]) -> list[str]:
    """The articles that may be listed: known to the model, and not in the bag."""
    known = model.article_ids.values.to_pandas()
    chosen = known if candidates is None else known[known.isin(list(candidates))]
    kept: list[str] = chosen[~chosen.isin(list(bag))].tolist()
    return kept
