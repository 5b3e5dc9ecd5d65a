"""A backbone fine-tuned on the retailer's own attributes, by a job that is started by hand.

What belongs here: gathering photographs and labels, reporting the result. What does not: fine-tuning
(:mod:`atelier.images.finetuning`), choosing the backbone (:mod:`dagster_project.commands.promote` writes it into the
settings, :func:`assets.images.build_encoder` reads it).
"""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.attributes import AttributeTraining, attribute_config, labelled
from assets.images import GROUP
from assets.stage import stage
from assets.step import Step, markdown
from atelier.images.finetuning_config import FineTuningConfig
from resources.compute import gpu_pool
from resources.encoders import chosen_backbone

if TYPE_CHECKING:
    import pandas as pd

    from atelier.images import FineTuned
    from atelier.images.backbones import Backbone

NAME = "image_backbone"
READ = ("articles", "images", "annotated_attributes")
CATEGORY = "product_type"


class BackboneTraining(FineTuningConfig):
    """The config of fine-tuning, and the backbone and weights that it starts from."""

    backbone: str | None = Field(
        default=None,
        description="Where it starts; empty: as atelier.toml says, or compact where that is small, which cannot learn.",
    )
    weights: str | None = Field(default=None, description="DEFAULT, a .safetensors file, or none (seeded).")


@stage(
    produces=[NAME],
    deps=READ,
    group=GROUP,
    checks={"better_than_before": "Whether fine-tuning raised the mean weighted F1 on the validation styles."},
    pool=gpu_pool() or "image_embeddings",
)
def fine_tune_backbone(step: Step, config: BackboneTraining) -> None:
    """A backbone whose last layers have learned the annotated attributes and the category from photographs.

    It is not trained on the styles by which the day's attribute model is evaluated, stopped and calibrated. It is not
    used until ``atelier promote image_backbone``.
    """
    from atelier.images import finetune

    device = step.compute.apply()
    photographs, labels = learnable(step)
    tuned = finetune(
        _start(step, config),
        photographs,
        labels,
        root=step.home.open_source().image_root,
        config=FineTuningConfig.model_validate(config.model_dump(exclude={"backbone", "weights"})),
        device=device,
    )
    step.save_model(NAME, tuned.save, tables=READ, seed=config.seed)
    _report(step, tuned)


def learnable(step: Step) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The photographs that may be trained on, with their styles, and the labels: annotations and the category."""
    import pandas as pd

    from atelier.attributes.leakage_guard import held_out_articles

    articles, labels = visible_articles(step), step.read("annotated_attributes")
    labels = labels[labels["article_id"].isin(articles["article_id"])]
    training = AttributeTraining()  # the default config of the daily attribute model
    network = attribute_config(training, labelled(articles, labels))
    held_out = held_out_articles(articles, labels, network, test_share=training.test_share, seed=training.seed)
    free = articles.loc[~held_out, ["article_id", "product_code"]]
    photographs = step.read("images").merge(free, on="article_id", how="inner", validate="many_to_one")
    category = articles[["article_id", CATEGORY]].dropna().rename(columns={CATEGORY: "value"})
    named = [] if (labels["attribute"] == CATEGORY).any() else [category.assign(attribute=CATEGORY)]
    columns = ["article_id", "attribute", "value"]
    step.note(NAME, styles_kept_back=int(articles.loc[held_out, "product_code"].nunique()))
    return photographs.sort_values(["article_id", "shot"], ignore_index=True), pd.concat(
        [labels[columns], *(each[columns] for each in named)], ignore_index=True
    ).astype("str")


def visible_articles(step: Step) -> "pd.DataFrame":
    """The articles of the day, without those not yet on sale, which nobody knows of on that day."""
    with step.connect("articles") as con:
        frame: pd.DataFrame = con.table("articles").order("article_id").df()
    return frame


def _start(step: Step, config: BackboneTraining) -> "Backbone":
    """The backbone to start from: never a promoted one, because then a second run would give another result."""
    from atelier.images import backbones, compact, small

    name, weights, preprocessing = chosen_backbone(step.home.settings.encoder, config.backbone, config.weights)
    if name in (small.NAME, compact.NAME):
        name, weights = compact.NAME, weights if config.weights else None
    return backbones.build_backbone(name, weights, seed=config.seed, preprocessing=preprocessing)


def _report(step: Step, tuned: "FineTuned") -> None:
    """Write metadata: figures before and after, the counts, a picture of the training."""
    from atelier.report.finetuning import finetuning_text

    means = mean_figures(tuned.metrics)
    figures: dict[str, Any] = {f"mean_{name}": value for name, value in means.items() if value == value}
    step.note(NAME, backbone=tuned.backbone.name, trained_from=tuned.cut, **tuned.summary, **figures)
    step.note(NAME, **step.compute.describe())
    step.note(NAME, figures=markdown(f"```\n{finetuning_text(tuned.metrics)}\n```"), training=markdown(_picture(tuned)))
    before, after = means.get("weighted_f1_before", 0.0), means.get("weighted_f1_after", 0.0)
    step.check(
        "better_than_before",
        after > before,
        f"mean weighted F1 on its validation styles: {before:.3f} with the vectors before, {after:.3f} after",
    )


def _picture(tuned: "FineTuned") -> str:
    """Loss and weighted F1 by epoch, as the UI shows it."""
    from base64 import b64encode

    from atelier.report.finetuning import finetuning_picture

    history = tuned.history
    drawn = finetuning_picture(
        [each.loss for each in history],
        [each.validation["loss"] for each in history],
        [each.validation["weighted_f1"] for each in history],
    )
    return f"![Loss and weighted F1 by epoch](data:image/svg+xml;base64,{b64encode(drawn.encode()).decode()})"


def mean_figures(metrics: "pd.DataFrame") -> dict[str, float]:
    """The means over attributes of a bundle's metrics."""
    mean = metrics[metrics["attribute"] == "mean"]
    return dict(zip(mean["metric"].tolist(), mean["value"].tolist(), strict=True))


STAGES = (fine_tune_backbone,)
