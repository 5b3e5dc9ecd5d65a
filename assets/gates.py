"""The gates of a day: whether tonight's models are fit to be shown, and whose results are shown.

What belongs here: reading the figures from the store, the tables ``gates`` and ``champions``. What does not: what a
figure has to satisfy (:mod:`atelier.monitoring.gates`), judging recipes on truth (:mod:`assets.recipe_gate`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from assets.attributes import MODEL as ATTRIBUTES
from assets.attributes import gates_of_attributes
from assets.champions import failed
from assets.outfits import MODEL as OUTFITS
from assets.recommendations import TABLE as LISTS
from assets.recommendations import evaluation_sample, lists_of
from assets.retrieval import INDEXED, RECALL
from assets.stage import stage
from assets.step import Step
from atelier.complement_lists import LOOK
from atelier.complement_lists import TABLE as COMPLEMENTS
from atelier.errors import PartitionMissing
from atelier.monitoring.gates import Gate, ListFigures, finite_gate, index_gate, list_gates, one_serves_gate
from atelier.recommenders import FALLBACK, MODELS
from resources.champions import (
    BY_GATES,
    KEPT,
    PASSED,
    TABLE,
    UNPROVEN,
    Champion,
    Champions,
    champions_before,
    shown_lists,
)
from resources.promotions import Promotions, serving_model
from resources.recipes import recipe_of_bundle
from sql import query

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from resources.model_store import Bundle

GROUP = "gates"
GATES = "gates"
CHECK = "tonights_models_pass"
#: How many customers, those with the smallest hashes, show how far lists moved; and by how many of their first places.
COMPARED, FIRST = 20_000, 10
#: The lists of a day, one form for all models: model, owner, article_id, rank, fallback.
RECOMMENDED = f"SELECT model, customer_id AS owner, article_id, rank, fallback, seen, served FROM {LISTS}"  # noqa: S608
LOOKS = (
    f"SELECT '{OUTFITS}' AS model, article_id AS owner, complement_article_id AS article_id, rank, false AS fallback"  # noqa: S608
    f" FROM {COMPLEMENTS} WHERE list = '{LOOK}'"
)


def write_gates(step: Step) -> None:
    """Whether tonight's models are fit to be shown, without any truth yet; and whose results are shown."""
    import pandas as pd

    earlier = champions_before(step.store, step.ds)
    by_model = measured(step, earlier)
    step.write(GATES, pd.DataFrame([vars(gate) for each in by_model.values() for gate in each]))
    chosen = list(champions(step, by_model, earlier))
    step.write(TABLE, pd.DataFrame([vars(each) for each in chosen]).astype({"promotion": "Int64"}))
    faults = {model: why for model, each in by_model.items() if (why := failed(each))}
    acted = {each.model: f"{each.action}, of {each.made_on}" for each in chosen if not each.serving}
    serving = next((each for each in chosen if each.serving), None)
    shown = f"customers are shown the lists of {serving.model} of {serving.made_on}" if serving else "nobody has lists"
    said = "\n".join(f"{model} ({acted.get(model, 'nothing to keep')}): {why}" for model, why in faults.items())
    step.note(GATES, models=len(by_model), failed=len(faults), shown=shown)
    step.gate(
        CHECK, not faults, f"{said}\n{shown}" if faults else f"all {len(by_model)} models pass their gates; {shown}"
    )


def measured(step: Step, earlier: Champions) -> dict[str, list[Gate]]:
    """The gates of every model of the step's day, by model, the serving one among them.

    Args:
        step: the step.
        earlier: the champions of the day before, with whose lists tonight's are compared.
    """
    found = {ATTRIBUTES: gates_of_attributes(step), **_recommender_gates(step, earlier)}
    looks = _outfit_gates(step, earlier)
    return {**found, **({OUTFITS: looks} if looks else {})}


def _recommender_gates(step: Step, earlier: Champions) -> dict[str, list[Gate]]:
    limits, names = step.home.settings.gates, fitted_models(step)
    figures, served = _recommended(step, earlier)
    found = {
        name: [
            *_finite(step, f"{name}_model", name),
            *list_gates(name, figures.get(name), limits, personal=name != FALLBACK),
        ]
        for name in names
    }
    if INDEXED in found and (recall := _index_recall(step)) is not None:
        found[INDEXED].append(index_gate(INDEXED, recall, limits))
    serving = serving_model(step.home, step.ds)
    found.setdefault(serving, []).append(one_serves_gate(serving, served))
    return found


def fitted_models(step: Step) -> tuple[str, ...]:
    """The recommenders that the daily job of this home fits."""
    from assets.recommenders import fitted_daily

    return fitted_daily(step.home.settings)


def _finite(step: Step, bundle: str, model: str) -> Iterator[Gate]:
    """Whether the weights of tonight's bundle are finite; nothing where it was not trained, which ``made`` says."""
    try:
        yield finite_gate(model, step.bundle(bundle).path)
    except PartitionMissing:
        return


def _index_recall(step: Step) -> float | None:
    """The recall of tonight's index of articles, as it was measured when it was built; None where there is none."""
    import pandas as pd

    try:
        curve = pd.read_parquet(step.bundle("article_index").path / RECALL)
    except PartitionMissing:
        return None
    return float(curve.loc[curve["used"], "recall"].min())


def _recommended(step: Step, earlier: Champions) -> tuple[dict[str, ListFigures], list[str]]:
    """The figures of the lists of each recommender, and the models whose lists are marked as served."""
    if step.ds not in step.store.days(LISTS):
        return {}, []
    sample = evaluation_sample(step, COMPARED)
    with step.connect(LISTS, "articles") as con:
        served = con.sql(f"SELECT DISTINCT model FROM {LISTS} WHERE served ORDER BY model").fetchall()  # noqa: S608
        counted = _counted(con, RECOMMENDED)
        con.register("sample", sample)
        before = _lists_before(step, earlier, LISTS, RECOMMENDED, sample)
        policy = " SEMI JOIN sample ON owner = customer_id WHERE seen = 'excluded'"
        moves = _moves(con, f"SELECT model, owner, article_id, rank FROM ({RECOMMENDED}){policy}", before)  # noqa: S608
    return _figures(counted, moves), [name for (name,) in served]


def _outfit_gates(step: Step, earlier: Champions) -> list[Gate]:
    """The gates of the outfit model and the looks that it completes; none where nothing was trained."""
    finite = list(_finite(step, OUTFITS, OUTFITS))
    if not finite:
        return []
    figures: dict[str, ListFigures] = {}
    if step.store.pointer(COMPLEMENTS, step.ds) is not None:
        with step.connect(COMPLEMENTS, "articles") as con:
            counted = _counted(con, LOOKS)
            before = _lists_before(step, earlier, COMPLEMENTS, LOOKS, None)
            figures = _figures(counted, _moves(con, LOOKS, before))
    return [*finite, *list_gates(OUTFITS, figures.get(OUTFITS), step.home.settings.gates, personal=True)]


def _counted(con: "duckdb.DuckDBPyConnection", lists: str) -> list[tuple[Any, ...]]:
    con.execute(f"CREATE OR REPLACE TEMP VIEW lists AS {lists}")
    return con.sql(query("gate_lists")).fetchall()


def _lists_before(step: Step, earlier: Champions, table: str, lists: str, sample: Any) -> "pa.Table | None":
    """The lists of the models' champions, with which tonight's are compared; None where there are none.

    A champion is of the day before, or of an earlier one where the nights since then were run and failed. After
    ``horizon`` days of that it is too old to tell a bad night from a season, and nothing is compared.
    """
    import pyarrow as pa

    before, models = step.ds - timedelta(days=1), defaultdict(list)
    oldest = step.ds - timedelta(days=step.home.settings.horizon)
    was_run = before in step.store.days(TABLE)
    for each in earlier.values():
        kept = each.action == KEPT and was_run and each.made_on >= oldest
        if not each.serving and (each.made_on == before or kept):
            models[each.made_on].append(each.model)
    stored = step.store.days(table)
    parts = [_lists_of(step, day, models[day], table, lists, sample) for day in sorted(models) if day in stored]
    return pa.concat_tables(parts, promote_options="permissive") if parts else None


def _lists_of(step: Step, day: date, models: Sequence[str], table: str, lists: str, sample: Any) -> "pa.Table":
    """The first places of the lists of some models of a day."""
    with step.store.connect(as_of=day, tables=[table]) as con:
        select = f"SELECT model, owner, article_id, rank FROM ({lists})"  # noqa: S608 - our own text
        if sample is not None:
            con.register("sample", sample)
            select += " SEMI JOIN sample ON owner = customer_id WHERE seen = 'excluded'"
        named = f"SELECT * FROM ({select}) WHERE list_contains($models, model) AND rank <= $ranks"  # noqa: S608
        return con.sql(named, params={"models": list(models), "ranks": FIRST}).to_arrow_table()


def _moves(con: "duckdb.DuckDBPyConnection", lists: str, before: "pa.Table | None") -> Mapping[str, tuple[float, int]]:
    """How far the lists of each model moved since those of the champions, and over how many lists."""
    if before is None:
        return {}
    con.execute(f"CREATE OR REPLACE TEMP VIEW tonight AS {lists}")
    con.register("earlier", before)
    rows = con.execute(query("gate_moves"), {"ranks": FIRST}).fetchall()
    return {model: (moved, owners) for model, moved, owners in rows}


def _figures(counted: Sequence[tuple[Any, ...]], moves: Mapping[str, tuple[float, int]]) -> dict[str, ListFigures]:
    return {model: ListFigures(*counts, *moves.get(model, (None, 0))) for model, *counts in counted}


def champions(step: Step, by_model: Mapping[str, Sequence[Gate]], earlier: Champions) -> Iterator[Champion]:
    """The champion of every model, and at last what customers are shown.

    Args:
        step: the step.
        by_model: the gates of tonight's models.
        earlier: the champions of the day before.
    """
    for model, measurements in by_model.items():
        found = _champion(step, model, failed(measurements), earlier.get((model, False)))
        if found is not None:
            yield found
    serving, promotion = serving_model(step.home, step.ds), Promotions(step.home.storage).serving(step.ds)
    before = shown_lists(step.store, step.ds - timedelta(days=1))
    shown = _champion(step, serving, failed(by_model[serving]), before)
    if shown is not None:
        shown = replace(shown, serving=True, promotion=promotion.number if promotion else None)
        promoted = promotion if shown.action == PASSED else None
        yield replace(shown, who=promoted.who, why=promoted.why) if promoted else shown


def _champion(step: Step, model: str, why: str, before: Champion | None) -> Champion | None:
    """Tonight's bundle where nothing failed; else the earlier champion; else, where there is none, tonight's."""
    if why and before is not None:
        return before.kept(why)
    tonight = _tonight(step, model if model in (ATTRIBUTES, OUTFITS) else f"{model}_model")
    if tonight is None:
        return None
    recipe = recipe_of_bundle(tonight).digest
    action = UNPROVEN if why else PASSED
    said = f"no earlier one to keep, though it failed: {why}" if why else "it passed every gate"
    return Champion(model, False, tonight.model_id, step.ds, recipe, action, None, BY_GATES, said)


def _tonight(step: Step, name: str) -> "Bundle | None":
    try:
        return step.bundle(name)
    except PartitionMissing:
        return None


gates = stage(
    name=GATES,
    description="Whether tonight's models are fit to be shown, without any truth yet; and whose results are shown.",
    produces=[GATES, TABLE],
    deps=[
        "articles",
        "customers",
        ATTRIBUTES,
        "attribute_metrics",
        *(asset for name in MODELS for asset in (f"{name}_model", lists_of(name))),
        "article_index",
        OUTFITS,
        COMPLEMENTS,
    ],
    group=GROUP,
    checks={
        CHECK: "Whether every model of tonight passes its gates; where one does not, the champion keeps serving, and "
        "the run fails after everything is published."
    },
    isolated=True,
)(write_gates)

STAGES = (gates,)
