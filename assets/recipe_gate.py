"""The gate of recipes: a candidate judged on truth against the champion, in a job that is started by hand.

What belongs here: which models are compared on which data, the table ``recipe_gates``. What does not: the verdict
(:mod:`atelier.monitoring.noninferiority`), promoting what passed (:mod:`dagster_project.commands.promote_recipe`), the
gates of every night (:mod:`assets.gates`).
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.evaluation import KINDS, check_days
from assets.gates import GROUP
from assets.presets import PRESET_CONFIGS, settled
from assets.recommendations import evaluation_sample
from assets.recommenders import CONTENT, READ, TRAIN_KINDS, UnfittedModel, fitted, training_interactions
from assets.stage import stage
from assets.step import Step
from atelier.code_version import code_version
from atelier.errors import BundleError, PartitionMissing
from atelier.recommenders import FALLBACK, MODELS, declared
from resources.compute import gpu_pool
from resources.promotions import Promotions, serving_model
from resources.recipes import Recipe, recipe_of, recipe_of_bundle
from sql import query

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atelier.monitoring.noninferiority import Verdict
    from atelier.recommenders.base import Recommender
    from atelier.recommenders.config import RecommenderConfig

TABLE, VERDICT = "recipe_gates", "recipe_verdict"
CHECK = "candidate_passes"


class RecipeGate(dg.Config):
    """Which recipe is judged.

    Attributes:
        model: the candidate: any recommender.
        preset: of atelier.toml, whose settings the candidate has.
        settings: further fields of the candidate's config, which come before those of the preset.
        from_defaults: the candidate's other fields are its defaults, even where a recipe of the model was promoted.
        customers: on how many customers both are judged, at most; those with the smallest hashes.
        exclude_seen: whether lists leave out what a customer had purchased.
    """

    model: str
    preset: str | None = None
    settings: dict[str, Any] = {}
    from_defaults: bool = False
    customers: int = 100_000
    exclude_seen: bool = True


@stage(
    produces=[TABLE],
    deps=["interactions"],
    judged_deps=["articles", "customers", *CONTENT],
    group=GROUP,
    checks={CHECK: "Whether the candidate is surely not worse than the champion by more than the margin."},
    pool=gpu_pool(),
)
def judge_recipe(step: Step, config: RecipeGate) -> None:
    """A candidate recipe against the champion's: trained on the same data, judged on the same customers."""
    origin = step.ds - timedelta(days=step.home.settings.horizon)
    check_days(step, origin)
    device, chosen = str(step.compute.apply()), candidate_config(step, config, origin)
    candidate = recipe_of(config.model, chosen.model_dump(mode="json"), code_of(config.model))
    champion, theirs = champion_of(step, origin, device)
    ours, *_ = fitted(step, UnfittedModel(config.model, chosen, device), origin)
    verdict = compare_lists(step, config, origin, champion, ours)
    row = {
        "recipe": candidate.digest,
        "model": candidate.model,
        "config": candidate.config_json,
        "code_version": candidate.code_version,
        "champion": theirs.model,
        "champion_recipe": theirs.digest,
        "origin": origin,
        "metric": step.home.settings.gates.metric,
        "k": step.home.settings.gates.k,
    }
    step.write(TABLE, _table(row, verdict), part=candidate.digest)
    said = f"{candidate.model} ({candidate.digest}) against {theirs.model} ({theirs.digest}): {verdict.reason}"
    step.note(TABLE, recipe=candidate.digest, champion=theirs.model, customers=verdict.customers, lower=verdict.lower)
    step.gate(CHECK, verdict.passed, said)


def code_of(model: str) -> str:
    """The version of the code that fits a recommender, as the manifests of its bundles have it."""
    return code_version("assets.recommenders", declared(model).module)


def candidate_config(step: Step, config: RecipeGate, origin: date) -> "RecommenderConfig":
    """The config of the candidate.

    Raises:
        Failure: the model or the preset does not exist, a field cannot be used, or the preset was chosen by the
            purchases by which it would be judged.
    """
    from pydantic import ValidationError

    from resources.retailer import faults

    if config.model not in MODELS:
        raise dg.Failure(
            f"there is no recommender {config.model!r}; there are {', '.join(MODELS)}", allow_retries=False
        )
    presets, promotions = step.home.settings.presets, Promotions(step.home.storage)
    try:
        told = PRESET_CONFIGS[config.model].model_validate({**config.settings, "preset": config.preset})
    except ValidationError as error:
        raise dg.Failure(f"settings of {config.model}: {faults(error)}", allow_retries=False) from error
    promoted = None if config.from_defaults else promotions.of_model(config.model, step.ds)
    chosen, preset = settled(config.model, told, presets, promoted)
    if preset is not None and preset.last_day_seen > origin:
        raise dg.Failure(
            f"the preset {config.preset} was chosen by purchases up to {preset.last_day_seen}, by some of which it "
            f"would be judged: both models see nothing after {origin}; judge it on a day from "
            f"{preset.last_day_seen + (step.ds - origin)} on, or tune on {origin}",
            allow_retries=False,
        )
    return chosen


def champion_of(step: Step, origin: date, device: str) -> "tuple[Recommender[Any], Recipe]":
    """The champion as of ``origin``: its bundle of that day where that is of its recipe and data, else fitted anew.

    Raises:
        Failure: neither is possible, because the champion's code is not today's.
    """
    from atelier import recommenders

    promotion, name = Promotions(step.home.storage).serving(step.ds), serving_model(step.home, step.ds)
    try:
        bundle = step.models.bundle(f"{name}_model", step.models.pointer(f"{name}_model", origin))
        recipe = recipe_of_bundle(bundle)
        versions = {table: step.store.data_version(table, origin) for table in READ}
        same_data = versions.items() <= bundle.manifest.upstreams.items()
        if same_data and (promotion is None or recipe.digest == promotion.recipe):
            return recommenders.load(bundle.path, device), recipe
    except (PartitionMissing, BundleError) as error:
        step.log.info(f"the champion is fitted anew: {error}")
    recipe = recipe_of(name, promotion.config if promotion else {}, code_of(name))
    if promotion is not None and promotion.recipe != recipe.digest:
        raise dg.Failure(
            f"the champion {name} was promoted with the code {promotion.code_version}, today's is "
            f"{recipe.code_version}; a bundle of it of {origin} from the data of now, by which it could be judged, is "
            f"not there: make one by that code with `dg launch --job daily_retrain --partition {origin}`, or promote "
            f"{name} with today's code by `atelier promote {name} --anyway --why TEXT`",
            allow_retries=False,
        )
    config = declared(name).config.model_validate(recipe.config)
    model, *_ = fitted(step, UnfittedModel(name, config, device), origin)
    return model, recipe


def compare_lists(
    step: Step, config: RecipeGate, origin: date, champion: "Recommender[Any]", candidate: "Recommender[Any]"
) -> "Verdict":
    """Judge the lists of both models, each with the fallback behind it, on the purchases since ``origin``."""
    from atelier.metrics import customers_with_history, per_customer
    from atelier.monitoring.noninferiority import judge

    limits = step.home.settings.gates
    fallback, *_ = fitted(step, UnfittedModel(FALLBACK, declared(FALLBACK).config(), "cpu"), origin)
    train = training_interactions(step, sorted({*TRAIN_KINDS, *KINDS}), origin)
    with step.connect("interactions") as con:
        truth = con.sql(query("truth"), params={"origin": origin, "kinds": list(KINDS)}).df()
    sample = evaluation_sample(step, config.customers, origin)
    truth = truth[truth["customer_id"].isin(sample["customer_id"])]
    customers = sample[sample["customer_id"].isin(truth["customer_id"])]
    theirs, ours = (
        per_customer(
            _lists(model, fallback, customers, limits.k, config.exclude_seen),
            truth,
            (limits.k,),
            train=train,
            exclude_seen=config.exclude_seen,
            truth_kinds=KINDS,
        )
        for model in (champion, candidate)
    )
    return judge(theirs, ours, customers_with_history(train, TRAIN_KINDS), limits)


def _lists(
    model: "Recommender[Any]", fallback: "Recommender[Any]", customers: "pd.DataFrame", k: int, exclude_seen: bool
) -> "pa.Table":
    import pyarrow as pa

    from atelier.recommenders.fallback import SERVED, serve

    batches = serve(model, fallback, customers, k=k, exclude_seen=exclude_seen)
    return pa.Table.from_batches(batches, schema=SERVED).select(["customer_id", "article_id", "rank"])


def _table(row: dict[str, Any], verdict: "Verdict") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    figures = {
        "customers": verdict.customers,
        "champion_value": verdict.champion,
        "candidate_value": verdict.candidate,
        "difference": verdict.difference,
        "standard_error": verdict.standard_error,
        "lower": verdict.lower,
        "least": verdict.least,
        "passed": verdict.passed,
        "reason": verdict.reason,
    }
    return pd.DataFrame([row | figures]).replace({-np.inf: np.nan})


@stage(produces=[VERDICT], deps=[TABLE], group=GROUP)
def recipe_verdict(step: Step) -> None:
    """Fails the run whose candidate did not pass, after its figures were stored."""
    history = step.check_history()
    refused = history.loc[(history["check"] == CHECK) & ~history["success"], "observed"]
    if not refused.empty:
        raise dg.Failure(f"the champion stays: {refused.iloc[0]}", allow_retries=False)


STAGES = (judge_recipe, recipe_verdict)
