"""Attributes: the model of the day, how good it is, and the completed catalogue.

What belongs here: gathering what the network reads, training, completing. What does not: the network
(:mod:`atelier.attributes`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from assets.stage import stage
from assets.step import Step
from resources.compute import gpu_pool
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes import AttributeConfig

GROUP = "attributes"
INPUTS = ("articles", "images", "image_embeddings")


class AttributeTraining(dg.Config):
    """The training of the attribute network. What is left empty suits the size of the catalogue.

    Attributes:
        preset: ``auto``, ``small`` or ``published``.
        test_share: share of the styles held out to judge the model.
        seed: of the first weights, the batches and the split.
        max_epochs: at most so many passes over the data.
    """

    preset: str = "auto"
    test_share: float = 0.1
    seed: int = 0
    max_epochs: int | None = None


def article_inputs(step: Step) -> "pd.DataFrame":
    """What is read of every article of the day: text, metadata, photographs (``image_digests``, ``embeddings``)."""
    with step.connect(*INPUTS) as con:
        inputs: pd.DataFrame = con.sql(query("attribute_inputs")).df()
        encoders = [row[0] for row in con.sql("SELECT DISTINCT encoder_id FROM image_embeddings").fetchall()]
    return inputs.assign(embeddings=_embeddings(step, inputs, encoders))


def _embeddings(step: Step, inputs: "pd.DataFrame", encoders: list[str]) -> "pd.Series":
    """The image vectors of each article, [its shots, dimension], in the order of its digests."""
    import pandas as pd

    from atelier.attributes import group_shots

    shots = inputs[["article_id", "image_digests"]].explode("image_digests").dropna()
    if shots.empty:
        return pd.Series([[] for _ in range(len(inputs))], index=inputs.index, dtype=object)
    # A day is encoded with one encoder: another one is another config, and another partition.
    vectors = step.cache.read(shots["image_digests"].tolist(), encoders[0])
    grouped = group_shots(inputs["article_id"], shots["article_id"], vectors)
    return pd.Series(grouped, index=inputs.index, dtype=object)


@stage(
    produces=["attribute_model", "attribute_metrics"], deps=[*INPUTS, "annotated_attributes"], group=GROUP,
    checks=["above_majority"], pool=gpu_pool(),
)  # fmt: skip
def attribute_model(step: Step, config: AttributeTraining) -> None:
    """The multi-modal multi-task network, trained on the day's partial labels and judged on styles held out."""
    from atelier.attributes import fit_and_evaluate

    articles, labels = article_inputs(step), step.read("annotated_attributes")
    model, metrics = fit_and_evaluate(
        articles, labels, attribute_config(config, len(articles)), test_share=config.test_share, seed=config.seed,
        device=str(step.compute.apply()),
    )  # fmt: skip
    bundle = step.save_model("attribute_model", model.save, tables=[*INPUTS, "annotated_attributes"], seed=config.seed)
    step.write("attribute_metrics", metrics.assign(model_id=bundle.model_id))
    mean = metrics[metrics["attribute"] == "mean"].set_index("metric")["value"].dropna()
    step.note("attribute_metrics", **{f"mean_{name}": float(value) for name, value in mean.items()})
    step.note("attribute_model", articles=len(articles), labels=len(labels), **step.compute.describe())
    _check_majority(step, metrics)


ENOUGH_LABELS = 100


def below_majority(metrics: "pd.DataFrame", labels: "pd.DataFrame") -> list[str]:
    """The attributes with 100 labels or more on which the model is not above always saying the majority value.

    Args:
        metrics: attribute, metric, value, on held-out articles.
        labels: article_id, attribute, value: all annotations of the day.
    """
    wide = metrics.pivot(index="attribute", columns="metric", values="value").drop(index="mean", errors="ignore")
    counts = labels.groupby("attribute").size()
    enough = wide[(wide.index.map(counts.to_dict()).fillna(0) >= ENOUGH_LABELS) & (wide["classes"] > 1)]
    return sorted(enough.index[~(enough["weighted_f1"] > enough["majority_weighted_f1"])])


def _check_majority(step: Step, metrics: "pd.DataFrame") -> None:
    below = below_majority(metrics, step.read("annotated_attributes"))
    step.check(
        "above_majority", not below,
        f"not above the majority baseline: {', '.join(below)}" if below else "every attribute with 100 labels is above",
    )  # fmt: skip


def attribute_config(config: AttributeTraining, articles: int) -> "AttributeConfig":
    """The network's config: a preset, with what was asked otherwise."""
    from atelier.attributes import AttributeConfig

    presets = {
        "auto": lambda **changes: AttributeConfig.for_data(articles).model_copy(update=changes),
        "small": AttributeConfig.small,
        "published": AttributeConfig.published,
    }
    if config.preset not in presets:
        raise dg.Failure(f"preset is {config.preset!r}; there are {', '.join(presets)}")
    changes = {"seed": config.seed} | ({} if config.max_epochs is None else {"max_epochs": config.max_epochs})
    return presets[config.preset](**changes)


@stage(
    produces=["predicted_attributes"], deps=["attribute_model", *INPUTS, "annotated_attributes"], group=GROUP,
    checks=["every_article_has_attributes"], pool=gpu_pool(),
)  # fmt: skip
def predicted_attributes(step: Step) -> None:
    """The complete catalogue: what was annotated, otherwise what the model says, with its confidence."""
    from atelier.attributes import AttributeModel, complete

    bundle = step.bundle("attribute_model")
    model = AttributeModel.load(bundle.path, device=str(step.compute.apply()))
    articles = article_inputs(step)
    table = complete(model, articles, step.read("annotated_attributes"), model_id=bundle.model_id)
    step.write("predicted_attributes", table)
    sources = table["source"].value_counts().to_pylist()
    step.note("predicted_attributes", **{each["values"]: each["counts"] for each in sources})
    described = len(table["article_id"].unique())
    step.check(
        "every_article_has_attributes", described == len(articles) or not model.heads.attributes,
        f"{described} of {len(articles)} articles have attributes",
    )  # fmt: skip


STAGES = (attribute_model, predicted_attributes)
