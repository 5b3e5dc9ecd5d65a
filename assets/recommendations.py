"""Recommendations: what the models recommend to customers, and why.

What belongs here: which model's lists are written for which customers. What does not: fitting
(:mod:`assets.recommenders`), ranking and reasons (:mod:`atelier.recommenders`), on which machines
(:mod:`resources.list_worker`).
"""

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from assets.recommenders import CONTENT, GROUP, catalogue, known_customers
from assets.stage import Stage, stage
from assets.step import Step
from atelier.recommenders import FALLBACK, MODELS, declared
from atelier.recommenders.declaration import Declaration
from resources.compute import gpu_pool
from resources.promotions import serving_model
from sql import query

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atelier.catalogue import Catalogue
    from resources.model_store import Bundle

TABLE = "recommendations"


class RecommendationsConfig(dg.Config):
    """The lists of one model.

    Attributes:
        k: their length.
        judged_sample: how many customers get the lists of every model, for evaluation; chosen by a fixed hash.
        exclude_seen: whether the served lists leave out what the customer purchased.
        explained_ranks: how many of the first ranks of a list get reasons; 0: none.
        explained_sample: how many customers of the judged sample get reasons in lists of a model that is not served, by
            the same hash. Served lists have reasons for all customers, those under the other policy for nobody.
    """

    k: int = 30
    judged_sample: int = 100_000
    exclude_seen: bool = True
    explained_ranks: int = 10
    explained_sample: int = 10_000


def evaluation_sample(step: Step, size: int, day: date | None = None) -> "pd.DataFrame":
    """The customers for whom all models make lists, for evaluation: those with the smallest hashes.

    They are customers of a day, the step's by default.
    """
    with step.store.connect(as_of=day or step.ds, tables=["customers"]) as con:
        frame: pd.DataFrame = con.sql(query("judged_customers"), params={"size": size}).df()
    return frame


def lists_of(model: str) -> str:
    """The asset of a model's lists: a part of the table ``recommendations``."""
    return f"{TABLE}/{model}"


def write_lists(name: str, step: Step, config: RecommendationsConfig) -> None:
    """Write the lists of a model with reasons: for all customers if it is served, else for the evaluation sample."""
    sample = evaluation_sample(step, config.judged_sample)
    explained = evaluation_sample(step, min(config.explained_sample, config.judged_sample))
    serves = name == serving_model(step.home, step.ds)
    customers = known_customers(step) if serves else sample
    explains = config.explained_ranks and declared(name).reasons_from_content
    lists = _Lists(
        step,
        step.bundle(f"{name}_model"),
        step.bundle(f"{FALLBACK}_model"),
        config,
        catalogue(step, content=True) if explains else None,
        serves,
    )
    step.write(TABLE, lists.reader(customers, sample, explained), part=name)
    share = lists.fallback / max(lists.served, 1)
    step.note(lists_of(name), customers=len(customers), fallback_share=share, explained_rows=lists.explained)
    step.note(lists_of(name), executor=step.compute.executor)
    step.check(
        "every_customer_is_served",
        lists.served == len(customers),
        f"{name}: {lists.served} of {len(customers)} customers have a list",
    )


class _Lists:
    """The lists of one model as a stream, counted as they pass.

    Attributes:
        served: customers with a list under the served policy.
        fallback: those of them whose list is the fallback's.
        explained: rows with reasons.
    """

    def __init__(
        self,
        step: Step,
        model: "Bundle",
        fallback: "Bundle",
        config: RecommendationsConfig,
        catalogue: "Catalogue | None",
        serves: bool,
    ) -> None:
        from resources.list_worker import SharedLists, request_of

        ranks = config.explained_ranks
        request = request_of(step.models, model, fallback, catalogue, k=config.k, explained_ranks=ranks)
        self._lists = SharedLists(request, step.compute)
        self._ids = {False: model.model_id, True: fallback.model_id}
        self._exclude_seen = config.exclude_seen
        self._serves = serves
        self.served = 0
        self.fallback = 0
        self.explained = 0

    def reader(
        self, customers: "pd.DataFrame", sample: "pd.DataFrame", explained: "pd.DataFrame"
    ) -> "pa.RecordBatchReader":
        """Lists under the served policy for ``customers``, under the other policy for ``sample``.

        Reasons are made under the served policy alone: for all if the model is served, else for ``explained``.
        """
        import pyarrow as pa

        from atelier.recommenders.fallback import SERVED
        from atelier.recommenders.schemas import REASONS

        columns = [pa.field("model", pa.string()), pa.field("seen", pa.string()), *SERVED]
        constants = [pa.field("model_id", pa.string()), pa.field("served", pa.bool_())]
        schema = pa.schema([*columns, *constants, pa.field("reasons", REASONS)])
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema, customers, sample, explained))

    def _batches(
        self, schema: "pa.Schema", customers: "pd.DataFrame", sample: "pd.DataFrame", explained: "pd.DataFrame"
    ) -> "Iterator[pa.RecordBatch]":
        for exclude_seen, group in ((self._exclude_seen, customers), (not self._exclude_seen, sample)):
            seen, policy = "excluded" if exclude_seen else "allowed", exclude_seen == self._exclude_seen
            served = self._serves and policy
            told = group if served else explained if policy else group.iloc[:0]
            chosen = group["customer_id"].isin(told["customer_id"])
            for with_reasons, some in ((True, group[chosen]), (False, group[~chosen])):
                for batch in self._lists.lists(some, exclude_seen, with_reasons=with_reasons) if len(some) else ():
                    if policy:
                        self._count(batch)
                    yield self._labelled(batch, seen, served, schema)

    def _count(self, batch: "pa.RecordBatch") -> None:
        import pyarrow.compute as pc

        first = pc.equal(batch["rank"], 1)
        self.served += pc.sum(first).as_py() or 0
        self.fallback += pc.sum(pc.and_(first, batch["fallback"])).as_py() or 0

    def _labelled(self, batch: "pa.RecordBatch", seen: str, served: bool, schema: "pa.Schema") -> "pa.RecordBatch":
        """The batch with the columns that are constant in it, as one model made all its rows."""
        import pyarrow as pa

        rows = batch.num_rows
        is_fallback = bool(rows and batch["fallback"][0].as_py())
        *columns, reasons = batch.columns
        self.explained += rows - reasons.null_count
        values = (self._lists.model.name, seen, self._ids[is_fallback], served)
        model, policy, model_id, shown = (pa.repeat(pa.scalar(value), rows) for value in values)
        return pa.RecordBatch.from_arrays([model, policy, *columns, model_id, shown, reasons], schema=schema)


def lists_stage(model: Declaration) -> Stage:
    """The stage that makes a model's lists."""
    declare = stage(
        name=f"{TABLE}_{model.name}",
        description=f"The lists of {model.name}, for all customers if it is served, else for the evaluation sample.",
        produces=[lists_of(model.name)],
        deps=[
            "customers",
            "articles",
            *(CONTENT if model.reasons_from_content else ()),
            *dict.fromkeys([f"{model.name}_model", f"{FALLBACK}_model"]),
        ],
        group=GROUP,
        checks={"every_customer_is_served": "Whether every customer who is to have a list has one of full length."},
        config=RecommendationsConfig,
        isolated=True,
        pool=gpu_pool(),
        recommender=model.name,
        code=[model.module],
    )
    return declare(partial(write_lists, model.name))


STAGES = tuple(lists_stage(model) for model in MODELS.values())
