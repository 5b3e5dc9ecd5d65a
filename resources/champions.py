"""Champions: whose results are shown on a day, as the table ``champions`` records it.

What belongs here: one row of that table, reading it, and the bundles that rank for customers on a day. What does not:
how champions are chosen (:mod:`assets.champions`, :mod:`assets.gates`), promotions (:mod:`resources.promotions`).
"""

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING

from resources.model_store import Bundle, ModelStore
from resources.promotions import Promotions, serving_model

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore
    from resources.retailer import Home

TABLE = "champions"
PASSED, KEPT, UNPROVEN = "passed", "kept", "unproven"
BY_GATES = "gates"
#: The fallback of :mod:`atelier.recommenders`, which is not imported: the attribute network, which has a champion too,
#: would then depend on the code of every recommender.
FALLBACK = "popular"


@dataclass(frozen=True)
class Champion:
    """One row of the table ``champions``; the attributes are its columns."""

    model: str
    serving: bool
    model_id: str
    made_on: date
    recipe: str
    action: str
    promotion: int | None
    who: str
    why: str

    def kept(self, why: str) -> "Champion":
        """The same champion, which stays because tonight's model failed."""
        said = f"tonight's failed and that of {self.made_on} stays: {why}"
        return replace(self, action=KEPT, who=BY_GATES, why=said)


Champions = dict[tuple[str, bool], Champion]
"""By model and ``serving``."""


def champions_of(store: "FeatureStore", ds: date) -> Champions:
    """The champions of a day; empty where its gates were not run."""
    if store.pointer(TABLE, ds) is None:
        return {}
    names = [field.name for field in fields(Champion)]
    found = [Champion(**{name: row[name] for name in names}) for row in store.read(TABLE, ds).to_pylist()]
    return {(each.model, each.serving): each for each in found}


def champions_before(store: "FeatureStore", ds: date) -> Champions:
    """The champions of the newest day before ``ds`` whose gates were run, without those that never passed."""
    days = [day for day in store.days(TABLE) if day < ds]
    found = champions_of(store, max(days)) if days else {}
    return {key: each for key, each in found.items() if each.action != UNPROVEN}


def champions_until(store: "FeatureStore", ds: date) -> Champions:
    """The champions of a day, or, where its gates were not run, of the newest day before."""
    return champions_of(store, ds) or champions_before(store, ds)


def shown_lists(store: "FeatureStore", ds: date) -> Champion | None:
    """Whose lists customers are shown on a day: those of the newest day up to it on which the serving model passed.

    A day whose gates failed, or were not run, shows those of an earlier one. So does a day whose lists were written
    after its gates had decided: nobody has measured them. None: no day ever passed, and the day's own are shown.
    ``sql/views/passed_lists.sql`` says the same of the published database.
    """
    for day in sorted((day for day in store.days(TABLE) if day <= ds), reverse=True):
        serving = next((each for each in champions_of(store, day).values() if each.serving), None)
        passed = serving is not None and serving.action == PASSED and serving.made_on == day
        if serving is not None and passed and not _listed_again(store, day, serving.model):
            return serving
    return None


def _listed_again(store: "FeatureStore", ds: date, model: str) -> bool:
    """Whether lists of a day that are shown were written after its gates had decided."""
    decided = store.pointer(TABLE, ds)
    lists = (store.pointer("recommendations", ds, part) for part in (model, FALLBACK))
    return decided is None or any(each is not None and each.written_at > decided.written_at for each in lists)


def served_bundles(home: "Home", ds: date, fallback: str) -> list[Bundle]:
    """The bundle that ranks for customers on a day, and behind it the fallback's, where that is another.

    It is the bundle of the lists that customers are shown. Where another model was promoted for the day since, it is
    the champion of the model that serves now.

    Args:
        home: whose store and settings.
        ds: the day.
        fallback: the model that ranks for whom the other cannot.

    Raises:
        PartitionMissing: the models of that day were not made.
        BundleError: one is damaged.
        PromotionError: a record of promotions cannot be read.
    """
    models, store = ModelStore(home.storage), home.open_store()
    champions, shown = champions_until(store, ds), shown_lists(store, ds)
    promoted = Promotions(home.storage).serving(ds)
    chosen = {model: each.model_id for (model, serving), each in champions.items() if not serving}
    serving = serving_model(home, ds)
    if shown is not None and shown.promotion == (promoted.number if promoted else None):
        serving = shown.model
        chosen[serving] = shown.model_id
    names = dict.fromkeys([serving, fallback])
    return [models.bundle(f"{n}_model", chosen.get(n) or models.pointer(f"{n}_model", ds)) for n in names]
