"""Recommendations: what the models recommend to customers, and why.

What belongs here: whose lists are written for whom. What does not: fitting (:mod:`assets.recommenders`), the rules of
lists and reasons (:mod:`atelier.recommenders`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from assets.recommenders import CONTENT, CONTENT_MODELS, FALLBACK, GROUP, MODELS, catalogue, known_customers
from assets.stage import stage
from assets.step import Step
from sql import query

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atelier.catalogue import Catalogue
    from resources.model_store import Bundle


class RecommendationsConfig(dg.Config):
    """The lists.

    Attributes:
        k: their length.
        judged_sample: how many customers get the lists of every model, by a fixed hash.
        exclude_seen: whether the served lists leave out what the customer purchased.
        explained_ranks: how many places of a list get reasons, from the first; 0: none.
    """

    k: int = 30
    judged_sample: int = 100_000
    exclude_seen: bool = True
    explained_ranks: int = 10


def judged_customers(step: Step, size: int) -> "pd.DataFrame":
    """Whom all models make lists for, to be judged on: the customers of the day with the smallest hashes."""
    with step.connect("customers") as con:
        frame: pd.DataFrame = con.sql(query("judged_customers"), params={"size": size}).df()
    return frame


@stage(
    produces=["recommendations"],
    deps=["customers", "articles", *CONTENT, *(f"{name}_model" for name in MODELS)],
    group=GROUP,
    checks=["every_customer_is_served"],
)
def recommendations(step: Step, config: RecommendationsConfig) -> None:
    """Lists for every customer by the serving model, and by all models for the judged sample, with reasons."""
    serving = step.home.settings.serving_model
    if serving not in MODELS:
        raise dg.Failure(f"serving_model is {serving!r} in {step.home.toml}; there are {', '.join(MODELS)}")
    step.compute.apply()
    everyone, judged = known_customers(step), judged_customers(step, config.judged_sample)
    content = catalogue(step, content=True) if config.explained_ranks else None
    for name in MODELS:
        audience = everyone if name == serving else judged
        lists = _Lists(
            step.bundle(f"{name}_model"),
            step.bundle(f"{FALLBACK}_model"),
            config,
            content if name in CONTENT_MODELS else None,
        )
        step.write("recommendations", lists.reader(audience, judged), part=name)
        share = lists.fallback / max(lists.served, 1)
        figures = {"customers": len(audience), "fallback_share": share, "explained_rows": lists.explained}
        step.note("recommendations", **{f"{name}_{figure}": value for figure, value in figures.items()})
        if name == serving:
            step.check(
                "every_customer_is_served",
                lists.served == len(everyone),
                f"{serving}: {lists.served} of {len(everyone)} customers have a list",
            )


class _Lists:
    """The lists of one model as a stream, counted as they pass.

    Attributes:
        served: customers with a list under the policy that is served.
        fallback: those of them who got the fallback's.
        explained: rows with reasons.
    """

    def __init__(
        self, model: "Bundle", fallback: "Bundle", config: RecommendationsConfig, catalogue: "Catalogue | None"
    ) -> None:
        from atelier import recommenders

        self._model, self._fallback = recommenders.load(model.path), recommenders.load(fallback.path)
        self._ids = {False: model.model_id, True: fallback.model_id}
        self._config = config
        self._catalogue = catalogue
        self.served = 0
        self.fallback = 0
        self.explained = 0

    def reader(self, audience: "pd.DataFrame", judged: "pd.DataFrame") -> "pa.RecordBatchReader":
        """Lists under the served policy for the whole ``audience``, under the other one for the ``judged``."""
        import pyarrow as pa

        from atelier.recommenders.fallback import SERVED
        from atelier.recommenders.schemas import REASONS

        columns = [pa.field("model", pa.string()), pa.field("seen", pa.string()), *SERVED]
        schema = pa.schema([*columns, pa.field("model_id", pa.string()), pa.field("reasons", REASONS)])
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema, audience, judged))

    def _batches(
        self, schema: "pa.Schema", audience: "pd.DataFrame", judged: "pd.DataFrame"
    ) -> "Iterator[pa.RecordBatch]":
        from atelier.recommenders.fallback import serve

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
        """The batch with its reasons and what is the same in all its rows: one model made them, or the fallback."""
        import pyarrow as pa

        from atelier.recommenders.explanations import explained

        rows = batch.num_rows
        is_fallback = bool(rows and batch["fallback"][0].as_py())
        maker = self._fallback if is_fallback else self._model
        reasons = explained(maker, batch, self._catalogue, ranks=self._config.explained_ranks)
        self.explained += rows - reasons.null_count
        texts = (self._model.name, seen, self._ids[is_fallback])
        model, policy, model_id = (pa.repeat(pa.scalar(text), rows) for text in texts)
        return pa.RecordBatch.from_arrays([model, policy, *batch.columns, model_id, reasons], schema=schema)


STAGES = (recommendations,)
