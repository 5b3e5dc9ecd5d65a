"""Recommenders: the models of a day, and what they recommend to every customer.

What belongs here: fitting each model and writing the lists. What does not: the models and the lists' rules
(:mod:`atelier.recommenders`).
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.stage import stage
from assets.step import Step
from sql import query

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.recommenders import Recommender
    from resources.model_store import Bundle

GROUP = "recommenders"
TRAIN_KINDS = ("save", "bag", "purchase")

#: The models of the daily DAG, in the order of the leaderboard; the first serves whom the others cannot.
MODELS = ("popular", "als")
FALLBACK = "popular"


class PopularConfig(dg.Config):
    """What ``popular`` counts. What is left empty is the model's default.

    Attributes:
        window_days: how many days, the last of them that of the last interaction.
        train_kinds: the kinds of interaction it learns from.
    """

    window_days: int | None = None
    train_kinds: list[str] = list(TRAIN_KINDS)


class AlsConfig(dg.Config):
    """How ``als`` is trained. What is left empty is the model's default, which suits the size of the data.

    Attributes:
        factors: length of the vectors.
        iterations: alternations.
        regularization: weight of the squared norms.
        alpha: by how much an interaction raises the confidence.
        half_life_days: after how many days an interaction counts half.
        seed: of the first vectors.
        train_kinds: the kinds of interaction it learns from.
    """

    factors: int | None = None
    iterations: int | None = None
    regularization: float | None = None
    alpha: float | None = None
    half_life_days: float | None = None
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


def training_interactions(step: Step, kinds: Sequence[str], day: date | None = None) -> "Interactions":
    """Everything of ``kinds`` that customers did up to a day, the step's by default."""
    from atelier.interactions import Interactions
    from resources.frames import dictionary_table

    with step.store.connect(as_of=day or step.ds, tables=["interactions"]) as con:
        rows = con.sql(query("training_interactions"), params={"kinds": list(kinds)})
        return Interactions.from_frame(dictionary_table(rows))


def catalogue(step: Step, day: date | None = None) -> "Catalogue":
    """The articles that are visible on a day, the step's by default."""
    from atelier.catalogue import Catalogue

    with step.store.connect(as_of=day or step.ds, tables=["articles"]) as con:
        return Catalogue.from_frames(con.table("articles").order("article_id").df())


def known_customers(step: Step) -> "pd.DataFrame":
    """The customers of the step's day: ``customer_id``."""
    with step.connect("customers") as con:
        frame: pd.DataFrame = con.table("customers").project("customer_id").order("customer_id").df()
    return frame


def judged_customers(step: Step, size: int) -> "pd.DataFrame":
    """Whom all models make lists for, to be judged on: the customers of the day with the smallest hashes."""
    with step.connect("customers") as con:
        frame: pd.DataFrame = con.sql(query("judged_customers"), params={"size": size}).df()
    return frame


def _fit(step: Step, name: str, config: "PopularConfig | AlsConfig", **sizes: Any) -> None:
    from atelier import recommenders

    chosen = {field: value for field, value in {**config.model_dump(), **sizes}.items() if value is not None}
    model: Recommender[Any] = recommenders.build(name, **chosen)
    # What a customer purchased is left out of the lists whatever the model learns from.
    train = training_interactions(step, sorted({*config.train_kinds, *model.config.seen_kinds}))
    model.fit(train, catalogue=catalogue(step), customers=known_customers(step))
    seed = model.config.seed
    step.save_model(f"{name}_model", model.save, tables=["interactions", "articles", "customers"], seed=seed)
    step.note(
        f"{name}_model", interactions=len(train), customers=len(train.customer_ids), articles=len(train.article_ids),
        config=model.config.model_dump(mode="json"),
    )  # fmt: skip


@stage(produces=["popular_model"], deps=["interactions", "articles", "customers"], group=GROUP)
def popular_model(step: Step, config: PopularConfig) -> None:
    """What sells in the recent window: the baseline, and what new customers get."""
    _fit(step, "popular", config)


@stage(produces=["als_model"], deps=["interactions", "articles", "customers"], group=GROUP)
def als_model(step: Step, config: AlsConfig) -> None:
    """Matrix factorisation by alternating least squares over implicit feedback (Hu, Koren, Volinsky 2008)."""
    _fit(step, "als", config, threads=step.compute.threads)


@stage(
    produces=["recommendations"], deps=["customers", "articles", *(f"{name}_model" for name in MODELS)], group=GROUP,
    checks=["every_customer_is_served"],
)  # fmt: skip
def recommendations(step: Step, config: RecommendationsConfig) -> None:
    """Lists for every customer by the serving model, and by all models for the judged sample."""
    serving = step.home.settings.serving_model
    if serving not in MODELS:
        raise dg.Failure(f"serving_model is {serving!r} in {step.home.toml}; there are {', '.join(MODELS)}")
    everyone, judged = known_customers(step), judged_customers(step, config.judged_sample)
    for name in MODELS:
        audience = everyone if name == serving else judged
        lists = _Lists(step.bundle(f"{name}_model"), step.bundle(f"{FALLBACK}_model"), config)
        step.write("recommendations", lists.reader(audience, judged), part=name)
        share = lists.fallback / max(lists.served, 1)
        step.note("recommendations", **{f"{name}_customers": len(audience), f"{name}_fallback_share": share})
        if name == serving:
            step.check(
                "every_customer_is_served", lists.served == len(everyone),
                f"{serving}: {lists.served} of {len(everyone)} customers have a list",
            )  # fmt: skip


class _Lists:
    """The lists of one model as a stream, counted as they pass.

    Attributes:
        served: customers with a list under the policy that is served.
        fallback: those of them who got the fallback's.
    """

    def __init__(self, model: "Bundle", fallback: "Bundle", config: RecommendationsConfig) -> None:
        from atelier import recommenders

        self._model, self._fallback = recommenders.load(model.path), recommenders.load(fallback.path)
        self._ids = {False: model.model_id, True: fallback.model_id}
        self._config = config
        self.served = 0
        self.fallback = 0

    def reader(self, audience: "pd.DataFrame", judged: "pd.DataFrame") -> "pa.RecordBatchReader":
        """Lists under the served policy for the whole ``audience``, under the other one for the ``judged``."""
        import pyarrow as pa

        from atelier.recommenders.serving import SERVED

        columns = [pa.field("model", pa.string()), pa.field("seen", pa.string()), *SERVED]
        schema = pa.schema([*columns, pa.field("model_id", pa.string()), pa.field("reasons", pa.null())])
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema, audience, judged))

    def _batches(
        self, schema: "pa.Schema", audience: "pd.DataFrame", judged: "pd.DataFrame"
    ) -> "Iterator[pa.RecordBatch]":
        from atelier.recommenders.serving import serve

        served_policy = self._config.exclude_seen
        for exclude_seen, customers in ((served_policy, audience), (not served_policy, judged)):
            seen = "excluded" if exclude_seen else "allowed"
            lists = serve(self._model, self._fallback, customers, k=self._config.k, exclude_seen=exclude_seen)
            for batch in lists:
                if exclude_seen == served_policy:
                    self._count(batch)
                yield self._labelled(batch, seen, schema)

    def _count(self, batch: "pa.RecordBatch") -> None:
        import pyarrow.compute as pc

        first = pc.equal(batch["rank"], 1)
        self.served += pc.sum(first).as_py() or 0
        self.fallback += pc.sum(pc.and_(first, batch["fallback"])).as_py() or 0

    def _labelled(self, batch: "pa.RecordBatch", seen: str, schema: "pa.Schema") -> "pa.RecordBatch":
        """The batch with what is the same in all its rows; each comes from one model, its own or the fallback."""
        import pyarrow as pa

        rows = batch.num_rows
        maker = self._ids[bool(rows and batch["fallback"][0].as_py())]
        model, policy, model_id = (pa.repeat(pa.scalar(text), rows) for text in (self._model.name, seen, maker))
        return pa.RecordBatch.from_arrays([model, policy, *batch.columns, model_id, pa.nulls(rows)], schema=schema)


STAGES = (popular_model, als_model, recommendations)
