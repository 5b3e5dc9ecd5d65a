"""Recommenders: the models of a day, and what they recommend to every customer.

What belongs here: fitting each model and writing the lists. What does not: the models and the lists' rules
(:mod:`atelier.recommenders`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from assets.stage import stage
from assets.step import Step
from resources.compute import gpu_pool
from sql import query

if TYPE_CHECKING:
    import pyarrow as pa

    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.recommenders import Recommender

GROUP = "recommenders"
TRAIN_KINDS = ("save", "bag", "purchase")

#: The models of the daily DAG, in the order of the leaderboard; the first serves whom the others cannot.
MODELS = ("popular", "als")
FALLBACK = "popular"


class PopularConfig(dg.Config):
    """What ``popular`` counts.

    Attributes:
        window_days: how many days that end with ds.
        train_kinds: the kinds of interaction it learns from.
    """

    window_days: int = 7
    train_kinds: list[str] = list(TRAIN_KINDS)


class AlsConfig(dg.Config):
    """The sizes of ``als``.

    Attributes:
        factors: length of the vectors.
        iterations: alternations.
        regularization: weight of the squared norms.
        seed: of the first vectors.
        train_kinds: the kinds of interaction it learns from.
    """

    factors: int = 64
    iterations: int = 15
    regularization: float = 0.05
    seed: int = 0
    train_kinds: list[str] = list(TRAIN_KINDS)


class RecommendationsConfig(dg.Config):
    """The lists.

    Attributes:
        k: their length.
        judged_sample: how many customers get the lists of every model, by a fixed hash.
        exclude_seen: whether the served lists leave out what the customer purchased.
    """

    k: int = 30
    judged_sample: int = 100_000
    exclude_seen: bool = True


def training_interactions(step: Step, kinds: list[str]) -> "Interactions":
    """Everything of ``kinds`` that customers did up to the step's day."""
    from atelier.interactions import Interactions
    from resources.frames import dictionary_table

    with step.connect("interactions") as con:
        return Interactions.from_frame(
            dictionary_table(con.sql(query("training_interactions"), params={"kinds": kinds}))
        )


def catalogue(step: Step) -> "Catalogue":
    """The articles that are visible on the step's day."""
    from atelier.catalogue import Catalogue

    with step.connect("articles") as con:
        return Catalogue.from_frames(con.table("articles").order("article_id").df())


def _fit(step: Step, name: str, model: "Recommender", kinds: list[str], seed: int) -> None:
    train = training_interactions(step, kinds)
    model.fit(train, catalogue=catalogue(step))
    step.save_model(f"{name}_model", model.save, tables=["interactions", "articles"], seed=seed)
    step.note(
        f"{name}_model", interactions=len(train), customers=len(train.customer_ids), articles=len(train.article_ids),
        train_kinds=", ".join(kinds),
    )  # fmt: skip


@stage(produces=["popular_model"], deps=["interactions", "articles"], group=GROUP)
def popular_model(step: Step, config: PopularConfig) -> None:
    """What sells in the recent window: the baseline, and what new customers get."""
    from atelier import recommenders

    model = recommenders.build("popular", window_days=config.window_days)
    _fit(step, "popular", model, config.train_kinds, seed=0)


@stage(produces=["als_model"], deps=["interactions", "articles"], group=GROUP, pool=gpu_pool())
def als_model(step: Step, config: AlsConfig) -> None:
    """Matrix factorisation by alternating least squares over implicit feedback (Hu, Koren, Volinsky 2008)."""
    from atelier import recommenders

    model = recommenders.build(
        "als", factors=config.factors, iterations=config.iterations, regularization=config.regularization,
        seed=config.seed, threads=step.compute.threads,
    )  # fmt: skip
    _fit(step, "als", model, config.train_kinds, config.seed)


@stage(
    produces=["recommendations"], deps=["customers", "articles", *(f"{name}_model" for name in MODELS)], group=GROUP,
    checks=["every_customer_is_served"],
)  # fmt: skip
def recommendations(step: Step, config: RecommendationsConfig) -> None:
    """Lists for every customer by the serving model, and by all models for the judged sample."""
    serving = step.home.settings.serving_model
    if serving not in MODELS:
        raise dg.Failure(f"serving_model is {serving!r} in {step.home.toml}; there are {', '.join(MODELS)}")
    everyone = step.read("customers")["customer_id"]
    for name in MODELS:
        lists = _Lists(step, name, config, everyone=everyone if name == serving else None)
        step.write("recommendations", lists.reader(), part=name)
        step.note("recommendations", **{f"{name}_fallback_share": lists.fallback_share})
        if name == serving:
            step.check(
                "every_customer_is_served", lists.served == len(everyone),
                f"{serving}: {lists.served} of {len(everyone)} customers have a list",
            )  # fmt: skip


def judged_customers(step: Step, size: int) -> list[str]:
    """Whom all models are judged on: the customers of the step's day with the smallest hashes."""
    with step.connect("customers") as con:
        rows = con.execute(query("judged_customers"), {"size": size}).fetchall()
    return [row[0] for row in rows]
