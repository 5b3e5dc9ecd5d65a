"""Recommenders: the models of a day.

What belongs here: the stage that fits a declared model, and the data that models read. What does not: the models and
their declarations (:mod:`atelier.recommenders`), their lists (:mod:`assets.recommendations`), how a stage takes a
preset (:mod:`assets.presets`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.presets import PRESET_CONFIGS, SEEN_BY_PRESET, check_preset, settled
from assets.stage import Stage, stage
from assets.step import Step
from assets.training_curve import show_training_curve
from atelier.errors import BundleError, PartitionMissing
from atelier.recommenders import DAILY, FALLBACK, MODELS
from atelier.recommenders.config import RecommenderConfig
from atelier.recommenders.declaration import Declaration
from atelier.recommenders.sequential.config import SequenceConfig
from resources.champions import champions_before
from resources.compute import gpu_pool, replicas_record
from resources.promotions import Promotions
from resources.retailer import SettingsError
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import pandas as pd

    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.recommenders.base import Recommender
    from resources.model_store import Bundle
    from resources.retailer import Settings

GROUP = "recommenders"
TRAIN_KINDS = RecommenderConfig().train_kinds
#: The assets that models read which use the content of articles.
CONTENT = ("article_vectors", "vector_space")
READ = ("interactions", "articles", "customers")
SERVES = "serves_customers"


def fitted_daily(settings: "Settings") -> tuple[str, ...]:
    """The recommenders that the daily job fits, in the order of the leaderboard.

    Raises:
        SettingsError: the settings name one that does not exist, leave out the one that serves whom the others cannot
            serve, or leave out the serving model.
    """
    names = DAILY if settings.recommenders is None else settings.recommenders
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise SettingsError(f"recommenders: there is no {', '.join(map(repr, unknown))}; there are {', '.join(MODELS)}")
    if FALLBACK not in names:
        raise SettingsError(f"recommenders: {FALLBACK} serves whom the others cannot serve; add it")
    if settings.serving_model not in names:
        raise SettingsError(
            f"serving_model: {settings.serving_model!r} is not fitted daily; take one of {', '.join(names)}, or add it "
            "to recommenders"
        )
    return tuple(name for name in MODELS if name in names)


def training_interactions(step: Step, kinds: Sequence[str], day: date | None = None) -> "Interactions":
    """The interactions of ``kinds`` up to and including a day, the step's by default."""
    from resources import training_interactions as stored

    return stored.training_interactions(step.store, kinds, day or step.ds)


def catalogue(step: Step, day: date | None = None, *, content: bool = False) -> "Catalogue":
    """The articles that are visible on a day, the step's by default; with ``content`` their vectors and names too."""
    from atelier.catalogue import Catalogue

    day = day or step.ds
    with step.store.connect(as_of=day, tables=["articles"]) as con:
        articles = con.table("articles").order("article_id").df()
    if not content:
        return Catalogue.from_frames(articles)
    from atelier.articles.vectors import ArticleVectors

    space = step.models.bundle("vector_space", step.models.pointer("vector_space", day))
    return Catalogue.from_frames(
        articles, step.store.read("article_vectors", day), ArticleVectors.load(space.path).names
    )


def known_customers(step: Step, columns: Sequence[str] = (), day: date | None = None) -> "pd.DataFrame":
    """The customers of a day, the step's by default: ``customer_id``, and the given columns of the table."""
    with step.store.connect(as_of=day or step.ds, tables=["customers"]) as con:
        known = con.table("customers")
        absent = sorted(set(columns) - set(known.columns))
        if absent:
            raise dg.Failure(
                f"the config names columns of customers {', '.join(absent)}; there are {', '.join(known.columns)}"
            )
        frame: pd.DataFrame = known.select("customer_id", *columns).order("customer_id").df()
    return frame


@dataclass(frozen=True)
class UnfittedModel:
    """A recommender that is to be fitted.

    Attributes:
        name: of the recommender.
        config: its settings.
        device: where it computes.
    """

    name: str
    config: RecommenderConfig
    device: str

    def fields(self, threads: int) -> dict[str, Any]:
        """The fields of its config; where one of them is a number of threads, it is ``threads``."""
        chosen = {field: getattr(self.config, field) for field in type(self.config).model_fields}
        return chosen | {"threads": threads} if "threads" in chosen else chosen


def fitted(
    step: Step, model: UnfittedModel, day: date | None = None, recipe: str | None = None, before: "Bundle | None" = None
) -> "tuple[Recommender[Any], Interactions, pd.DataFrame]":
    """A model, fitted on what was known on a day, the step's by default; with its data.

    Args:
        step: whose stores and machines are used.
        model: which one.
        day: up to which everything is read.
        recipe: of the model, under which its training is kept until its end; None: it is not kept.
        before: the model that its training starts from; None: it starts from random weights.

    Returns:
        The model, the interactions that it was fitted on, and the customers of the day.
    """
    from atelier import recommenders
    from resources.recommender_fit import RecommenderFit
    from resources.recommender_fit import fitted as trained

    config = model.config
    # Lists leave out articles that count as seen, so those interactions are read even if they are not trained on.
    train = training_interactions(step, sorted({*config.train_kinds, *config.seen_kinds}), day)
    customers = known_customers(step, config.customer_columns, day)
    data = train, catalogue(step, day, content=config.reads_content), customers
    state = None if recipe is None else step.training_state(recipe)
    start = None if before is None else recommenders.load(before.path)
    fit = RecommenderFit(model.name, model.fields(step.compute.threads), model.device, data, state, start)
    return trained(fit, step.compute), train, customers


def fit_model(name: str, step: Step, config: RecommenderConfig) -> None:
    """Fit and publish the model of that name."""
    from atelier import recommenders

    promoted = Promotions(step.home.storage).of_model(name, step.ds)
    config, preset = settled(name, config, step.home.settings.presets, promoted)
    device, asset = str(step.compute.apply()), f"{name}_model"
    bundle = _trained(step, asset, UnfittedModel(name, config, device))
    step.note(asset, **({} if preset is None else {"preset": preset.study}))
    step.note(asset, **({} if promoted is None or preset else {"promotion": promoted.number}))
    check_preset(step, preset, promoted)
    model = recommenders.load(bundle.path, device)
    share = float(model.can_serve(known_customers(step)["customer_id"]).mean())
    step.check(SERVES, share > 0, f"{name} can rank articles for {share:.1%} of the customers", share=share)
    step.note(asset, config=model.config.model_dump(mode="json"))
    show_training_curve(step, asset, model)


def _trained(step: Step, asset: str, unfitted: UnfittedModel) -> "Bundle":
    """The model of the day, trained from the one before where the config asks for it and the layers are the same."""
    from atelier.recommenders.sequential.warm_start import WarmStartError

    before, why = model_before(step, asset, unfitted)
    try:
        bundle = _made(step, asset, unfitted, before)
    except WarmStartError as error:
        before, why = None, f"from random weights: {error}"
        bundle = _made(step, asset, unfitted, None)
    if why:
        step.note(asset, warm_start=why)
    return bundle


def model_before(step: Step, asset: str, unfitted: UnfittedModel) -> "tuple[Bundle | None, str]":
    """The model that a training starts from, and a sentence about it, which is empty where none is asked for.

    It is the model's champion of the ``horizon`` days before, which has passed its gates, if it has the same settings
    and what it was made from is what is stored now. So nothing is left of weights that are no numbers, of rows that
    were corrected, and of customers who were forgotten.
    """
    from atelier import recommenders

    if not isinstance(unfitted.config, SequenceConfig) or unfitted.config.warm_start is None:
        return None, ""
    oldest = step.ds - timedelta(days=step.home.settings.horizon)
    champion = champions_before(step.store, step.ds).get((unfitted.name, False))
    if champion is None or champion.made_on < oldest:
        return None, f"from random weights: no model of the days from {oldest} on has passed its gates"
    day = champion.made_on
    try:
        bundle = step.models.bundle(asset, champion.model_id)
    except BundleError as error:
        return None, f"from random weights: {error}"
    read = {name: version for name, version in bundle.manifest.upstreams.items() if name in REGISTRY}
    replaced = sorted(name for name, version in read.items() if _version(step, name, day) != version)
    if replaced:
        return None, f"from random weights: {', '.join(replaced)} of {day} have changed since that day's model was made"
    if recommenders.load(bundle.path).config != built(unfitted, step).config:
        return None, f"from random weights: the model of {day} has other settings"
    return bundle, f"from the model of {day}"


def _version(step: Step, table: str, day: date) -> str | None:
    """What is stored of a table on a day; None where it is gone."""
    try:
        return step.store.data_version(table, day)
    except PartitionMissing:
        return None


def built(unfitted: UnfittedModel, step: Step) -> "Recommender[Any]":
    """The model with the settings that it is fitted with, yet to be fitted."""
    from atelier import recommenders

    return recommenders.build(unfitted.name, unfitted.device, **unfitted.fields(step.compute.threads))


def _made(step: Step, asset: str, unfitted: UnfittedModel, before: "Bundle | None") -> "Bundle":
    """The model of the day: the bundle that the same recipe has made before, else one that is trained now."""
    from resources.recommender_fit import replicas_of

    name, config, device = unfitted.name, unfitted.config, unfitted.device
    tables = [*READ, "article_vectors"] if config.reads_content else READ
    models = [step.bundle("vector_space")] if config.reads_content else []
    models += [] if before is None else [before]
    own = {field: value for field, value in config.model_dump(mode="json").items() if field != "preset"}
    replicas = replicas_record(replicas_of(built(unfitted, step), step.compute))
    recipe = step.recipe(tables, models, model=name, config=own, device=device, **replicas)
    bundle = step.reused(asset, recipe)
    if bundle is not None:
        return bundle
    model, train, _ = fitted(step, unfitted, recipe=recipe, before=before)
    step.note(asset, **replicas)
    step.note(asset, interactions=len(train), customers=len(train.customer_ids), articles=len(train.article_ids))
    step.note(asset, **model.training_figures())
    return step.save_model(asset, model.save, tables=tables, seed=config.seed, models=models, recipe=recipe)


LONGEST = ("sequencer", "transformer")
"""The models that are fitted longest, of those that wait for the articles' vectors."""


def model_stage(model: Declaration) -> Stage:
    """The stage that fits a model."""
    declare = stage(
        name=f"{model.name}_model",
        description=model.summary,
        produces=[f"{model.name}_model"],
        deps=[*READ, *(CONTENT if model.reads_content else ())],
        group=GROUP,
        checks={
            SEEN_BY_PRESET: "Whether the settings were chosen by purchases of earlier days only.",
            SERVES: "Whether the stored model loads again and can rank articles for somebody.",
        },
        config=PRESET_CONFIGS[model.name],
        isolated=True,
        pool=gpu_pool(),
        recommender=model.name,
        code=[model.module],
        priority=int(model.name in LONGEST),
    )
    return declare(partial(fit_model, model.name))


STAGES = tuple(model_stage(model) for model in MODELS.values())
