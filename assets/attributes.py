"""Attributes: the model of the day, how good it is, its gates, and the completed catalogue.

What belongs here: training, measuring, completing. What does not: gathering what the network reads
(:mod:`resources.article_inputs`), the network (:mod:`atelier.attributes`).
"""

import json
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.champions import chosen_bundle, failed
from assets.stage import stage
from assets.step import Step
from resources.article_inputs import INPUTS, article_inputs
from resources.compute import gpu_pool, replicas_record

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes import AttributeConfig
    from atelier.monitoring.gates import Gate
    from resources.model_store import Bundle

GROUP = "attributes"
MODEL = "attribute_model"


class NetworkTraining(dg.Config):
    """The training of an attribute network. A field left empty is chosen by the number of labelled articles.

    Attributes:
        preset: ``auto``, ``small`` or ``published``.
        test_share: share of the styles held out to evaluate the model.
        seed: of the initial weights, the batches and the split.
        max_epochs: passes over the data, at most.
    """

    preset: str = "auto"
    test_share: float = 0.1
    seed: int = 0
    max_epochs: int | None = None


class AttributeTraining(NetworkTraining):
    """The training of the network that predicts.

    Attributes:
        coverage: the probability with which a prediction set is to hold the true value.
        applies: product types to which an attribute applies, by attribute; overrides what the annotations show.
    """

    coverage: float = 0.9
    applies: dict[str, list[str]] = Field(default_factory=dict)


@stage(
    produces=["attribute_model", "attribute_metrics"],
    deps=[*INPUTS, "annotated_attributes"],
    group=GROUP,
    checks={
        "above_majority": "Whether the network is above the majority baseline for every attribute with enough labels.",
        "coverage": "Whether prediction sets hold the true value as often as promised, on styles held out.",
    },
    pool=gpu_pool(),
    priority=1,
)
def attribute_model(step: Step, config: AttributeTraining) -> None:
    """The multi-modal multi-task network, trained on the day's partial labels and evaluated on styles held out."""
    from atelier.attributes.evaluation import METRICS

    articles, labels = article_inputs(step.store, step.cache, step.ds), step.read("annotated_attributes")
    metrics = _trained(step, config, articles, labels)
    step.write("attribute_metrics", metrics)
    mean = metrics[metrics["attribute"] == "mean"].set_index("metric")["value"].dropna()
    figures = {str(name): float(value) for name, value in mean.items() if name in METRICS}
    step.note("attribute_metrics", **{f"mean_{name}": value for name, value in figures.items()})
    step.note("attribute_model", articles=len(articles), labels=len(labels), **step.compute.describe())
    _check_majority(step, metrics)
    _check_coverage(step, metrics, config.coverage, styles_per_article(articles))


def _trained(step: Step, config: AttributeTraining, articles: "pd.DataFrame", labels: "pd.DataFrame") -> "pd.DataFrame":
    """Train and publish the day's network, unless the same inputs made one before; the rows of its metrics."""
    from resources.attribute_fit import fitted_and_evaluated

    chosen, device = attribute_config(config, labelled(articles, labels)), str(step.compute.apply())
    tables, models = [*INPUTS, "annotated_attributes"], _backbones(step)
    replicas = replicas_record(step.compute.training_workers)
    recipe = step.recipe(
        tables, models, config=chosen.model_dump(mode="json"), test_share=config.test_share, device=device, **replicas
    )
    known = _metrics_of(step, recipe)
    if known is not None and step.reused(MODEL, recipe) is not None:
        return known
    model, metrics = fitted_and_evaluated(
        articles,
        labels,
        chosen,
        step.compute,
        test_share=config.test_share,
        seed=config.seed,
        device=device,
        state=step.training_state(recipe),
    )
    step.note(MODEL, **replicas)
    bundle = step.save_model(MODEL, model.save, tables=tables, seed=config.seed, models=models, recipe=recipe)
    return metrics.assign(model_id=bundle.model_id)


def _metrics_of(step: Step, recipe: str) -> "pd.DataFrame | None":
    """The metrics of the network that a recipe made, if the day still has them."""
    made = step.models.made_by(MODEL, recipe)
    if made is None or step.store.pointer("attribute_metrics", step.ds) is None:
        return None
    metrics = step.read("attribute_metrics")
    return metrics if set(metrics["model_id"]) == {made.model_id} else None


def _backbones(step: Step) -> "list[Bundle]":
    """The fine-tuned backbone that has read the day's photographs; none where they were read by another encoder."""
    from resources.encoders import BACKBONE, backbone_of

    model_id = backbone_of(step.home.storage, step.read("image_embeddings")["encoder_id"].unique())
    return [] if model_id is None else [step.models.bundle(BACKBONE, model_id)]


ENOUGH_LABELS = 100


def below_majority(metrics: "pd.DataFrame", labels: "pd.DataFrame") -> list[str]:
    """The attributes with 100 labels or more on which the model does not beat the majority baseline.

    Where fewer than 100 labels were held out, the attribute is listed only if the model is below the baseline by more
    than chance, which is two standard errors of an accuracy from so few labels.

    Args:
        metrics: attribute, metric, value, on held-out articles.
        labels: article_id, attribute, value: all annotations of the day.
    """
    wide = metrics.pivot(index="attribute", columns="metric", values="value").drop(index="mean", errors="ignore")
    counts = labels.groupby("attribute").size()
    enough = wide[(wide.index.map(counts.to_dict()).fillna(0) >= ENOUGH_LABELS) & (wide["classes"] > 1)]
    spread = (enough["majority_accuracy"] * (1 - enough["majority_accuracy"]) / enough["samples"]).pow(0.5)
    chance = (2 * spread).where(enough["samples"] < ENOUGH_LABELS, 0.0)
    return sorted(enough.index[~(enough["weighted_f1"] + chance > enough["majority_weighted_f1"])])


def _check_majority(step: Step, metrics: "pd.DataFrame") -> None:
    below = below_majority(metrics, step.read("annotated_attributes"))
    step.check(
        "above_majority",
        not below,
        f"not above the majority baseline: {', '.join(below)}"
        if below
        else "no attribute with 100 labels is below the majority baseline by more than chance",
    )


CHANCE = 0.01


def short_of_coverage(metrics: "pd.DataFrame", coverage: float, independent: float = 1.0) -> list[str]:
    """The attributes whose prediction sets hold the true value less often than promised, by more than chance.

    Args:
        metrics: attribute, metric, value, on held-out articles.
        coverage: the promised coverage.
        independent: the share of the labels that is counted as independent. Articles of a style look and read alike,
            so the number of styles is a safe count of independent labels.

    Returns:
        Attributes whose coverage would be this low by chance with a probability below 1% divided by the number of
        attributes: so the check raises a false alarm on one day in a hundred at most.
    """
    from atelier.attributes.prediction_sets import chance_of_covering_so_few

    wide = metrics.pivot(index="attribute", columns="metric", values="value").drop(index="mean", errors="ignore")
    measured = wide[wide["coverage"].notna()]
    chances = {
        str(name): chance_of_covering_so_few(
            row["coverage"], row["samples"] * independent, row["calibration_samples"] * independent, coverage
        )
        for name, row in measured.iterrows()
    }
    return sorted(name for name, chance in chances.items() if chance < CHANCE / len(chances))


def styles_per_article(articles: "pd.DataFrame") -> float:
    """The number of styles divided by the number of articles; an article without a style counts as its own style."""
    codes = articles["product_code"]
    return float((codes.nunique() + codes.isna().sum()) / max(len(codes), 1))


def _check_coverage(step: Step, metrics: "pd.DataFrame", coverage: float, independent: float) -> None:
    short = short_of_coverage(metrics, coverage, independent)
    mean = metrics[metrics["attribute"] == "mean"].set_index("metric")["value"]
    names = ("coverage", "set_size", "abstained", "expected_calibration_error_raw", "expected_calibration_error")
    step.check(
        "coverage",
        not short,
        f"the sets hold the true value less often than the promised {coverage:.0%}: {', '.join(short)}"
        if short
        else f"no attribute's sets fall short of the promised {coverage:.0%} by more than chance",
        **{f"mean_{name}": float(mean[name]) for name in names if mean[name] == mean[name]},
    )


def labelled(articles: "pd.DataFrame", labels: "pd.DataFrame") -> int:
    """How many articles have a label; the size of the network is chosen by it."""
    return int(articles["article_id"].isin(labels["article_id"]).sum())


def attribute_config(config: NetworkTraining, articles: int) -> "AttributeConfig":
    """The network's config: a preset, changed by the fields that were set in the launchpad.

    Args:
        config: the launchpad's config.
        articles: labelled articles, see :func:`labelled`.

    Raises:
        dagster.Failure: an unknown preset, or a value out of range.
    """
    from pydantic import ValidationError

    from atelier.attributes import AttributeConfig
    from resources.retailer import faults

    presets = {
        "auto": lambda **changes: AttributeConfig.model_validate(
            AttributeConfig.for_data(articles).model_dump() | changes
        ),
        "small": AttributeConfig.small,
        "published": AttributeConfig.published,
    }
    if config.preset not in presets:
        raise dg.Failure(f"preset is {config.preset!r}; there are {', '.join(presets)}")
    fields = config.model_dump(include={"seed", "max_epochs", "coverage", "applies"})
    changes = {name: value for name, value in fields.items() if value not in (None, {})}
    try:
        return presets[config.preset](**changes)
    except ValidationError as error:
        raise dg.Failure(f"the attribute network's config cannot be used: {faults(error)}") from error


def gates_of_attributes(step: Step) -> "list[Gate]":
    """The gates of tonight's network: its weights, and its calibration on the styles that were held out."""
    from atelier.monitoring.gates import attribute_gates, finite_gate

    bundle, metrics = step.bundle(MODEL), step.read("attribute_metrics")
    coverage = float(json.loads((bundle.path / "config.json").read_text(encoding="utf-8"))["config"]["coverage"])
    with step.connect("articles") as con:
        independent = styles_per_article(con.table("articles").select("product_code").df())
    short = short_of_coverage(metrics, coverage, independent)
    measured = attribute_gates(MODEL, metrics, short, step.home.settings.gates)
    return [finite_gate(MODEL, bundle.path), *measured]


@stage(
    produces=["predicted_attributes"],
    deps=["attribute_model", "attribute_metrics", *INPUTS, "annotated_attributes"],
    group=GROUP,
    checks={"every_article_has_attributes": "Whether every article of the day has a value of each attribute."},
    pool=gpu_pool(),
)
def predicted_attributes(step: Step) -> None:
    """The complete catalogue: annotated values, otherwise predicted ones, each with its prediction set.

    Where tonight's model fails its gates, the one that passed last predicts.
    """
    from atelier.attributes import AttributeModel, complete

    faults = failed(gates := gates_of_attributes(step))
    bundle = chosen_bundle(step, MODEL, gates)
    step.note(
        "predicted_attributes", predicted_by=bundle.manifest.training_day, **({"gates": faults} if faults else {})
    )
    model = AttributeModel.load(bundle.path, device=str(step.compute.apply()))
    articles = article_inputs(step.store, step.cache, step.ds)
    table = complete(model, articles, step.read("annotated_attributes"), model_id=bundle.model_id)
    step.write("predicted_attributes", table)
    sources = {each["values"]: each["counts"] for each in table["source"].value_counts().to_pylist()}
    own = sources.get("predicted", 0) + sources.get("abstained", 0)
    step.note("predicted_attributes", **sources, abstained_share=sources.get("abstained", 0) / max(own, 1))
    described = len(table["article_id"].unique())
    step.check(
        "every_article_has_attributes",
        described == len(articles) or not model.heads.attributes,
        f"{described} of {len(articles)} articles have attributes",
    )


STAGES = (attribute_model, predicted_attributes)
