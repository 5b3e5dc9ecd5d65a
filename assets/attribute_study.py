"""The attribute study: many trainings of one day's data, started when somebody wants to know, not every night.

What belongs here: what the study reads, where its results are cached, its tables, pictures and key figures. What does
not: the trainings (:mod:`atelier.studies.attribute_study`), how the pictures look (:mod:`atelier.report`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from assets.attributes import NetworkTraining, attribute_config, labelled
from assets.pictures import pictures_folder, results_folder, write_pictures
from assets.stage import stage
from assets.step import Step
from atelier.code_version import code_version
from resources.article_inputs import INPUTS, article_inputs
from resources.compute import gpu_pool

if TYPE_CHECKING:
    import pandas as pd

    from atelier.studies.attribute_plan import AttributeStudyPlan

READ = (*INPUTS, "annotated_attributes")
GROUP = "studies"
NAME = "attribute_study"


class AttributeStudy(NetworkTraining):
    """Which trainings the study is made of. A field left empty is chosen by the number of labelled articles.

    Attributes:
        splits: ``random``: articles are held out, as published; ``style``: whole styles.
        variants: ``all``, ``without_text``, ``without_images``, ``without_metadata``, ``text_only``, ``images_only``,
            and the linear classifiers ``linear_text``, ``linear_images``, ``linear_joined``.
        trainings: ``joint``, by which every variant is trained, and ``published``, by which the network with all inputs
            is trained once more; it takes many times as long.
        follow_every: steps of the optimiser between two measurements of F1; 0: F1 is not measured during training;
            empty: about once per epoch, in the published training every 1,000 steps, on small data more often.
    """

    splits: list[str] = ["random", "style"]
    variants: list[str] = [
        "all",
        "without_text",
        "without_images",
        "without_metadata",
        "text_only",
        "images_only",
        "linear_text",
        "linear_images",
        "linear_joined",
    ]
    trainings: list[str] = ["joint"]
    follow_every: int | None = None


@stage(produces=[NAME, "attribute_confusions"], deps=READ, group=GROUP, pool=gpu_pool(), keeps_files=True)
def study_attributes(step: Step, config: AttributeStudy) -> None:
    """The attribute network by split, without a modality, by training step, and against linear classifiers."""
    from atelier.studies.attribute_study import confusions_of, run_study, scores_of
    from atelier.studies.results_cache import ResultsCache

    articles, labels = article_inputs(step.store, step.cache, step.ds), step.read("annotated_attributes")
    plan = study_plan(config, labelled(articles, labels))
    device = str(step.compute.apply())
    results = run_study(
        articles,
        labels,
        plan,
        kept=ResultsCache(results_folder(step.home.root, NAME, step.ds)),
        data={"code": _code(), **step.data_versions(READ)},
        device=device,
    )
    scores, confusions = scores_of(results), confusions_of(results)
    step.write(NAME, scores)
    step.write("attribute_confusions", confusions)
    step.note(NAME, fits=len(results), **_means(scores), **step.compute.describe())
    seconds = {f"seconds_{each.split}_{each.variant}": round(each.seconds, 1) for each in results}
    step.note(NAME, **seconds)
    _draw(step, scores, confusions)


def _code() -> str:
    """A digest of the code that prepares the data of the trainings."""
    return code_version("resources.article_inputs", alone=(__name__,))


def study_plan(config: AttributeStudy, articles: int) -> "AttributeStudyPlan":
    """The plan that the config requests, with layer sizes that suit the number of labelled articles.

    Raises:
        Failure: a split, variant, training or number is not allowed.
    """
    from pydantic import ValidationError

    from atelier.studies.attribute_plan import AttributeStudyPlan, trained_as
    from resources.retailer import faults

    chosen = attribute_config(config, articles)
    epochs = {} if config.max_epochs is None else {"max_epochs": config.max_epochs}
    unknown = sorted(set(config.trainings) - {"joint", "published"})
    if unknown:
        raise dg.Failure(f"trainings holds {unknown[0]!r}; there are joint, published")
    variants = config.variants if "joint" in config.trainings else []
    if "published" in config.trainings:
        variants = [*variants, "published"]
    try:
        return AttributeStudyPlan.model_validate(
            {
                "network": trained_as(chosen, "joint").model_copy(update=epochs),
                "published": trained_as(chosen, "published").model_copy(update=epochs),
                "variants": variants,
                **config.model_dump(include={"splits", "test_share", "seed", "follow_every"}),
            }
        )
    except ValidationError as error:
        raise dg.Failure(f"the study's config cannot be used: {faults(error)}") from error


def _means(scores: "pd.DataFrame") -> dict[str, float]:
    """Mean weighted F1 on test articles, by split and variant; the UI charts them over the days."""
    rows = scores[
        (scores["attribute"] == "mean") & (scores["metric"] == "weighted_f1") & (scores["side"] == "test")
    ].dropna(subset=["value"])
    return dict(zip(rows["split"] + "_" + rows["variant"], rows["value"].astype(float).tolist(), strict=True))


def _draw(step: Step, scores: "pd.DataFrame", confusions: "pd.DataFrame") -> None:
    from atelier.report.attribute_plots import study_drawings

    write_pictures(
        step,
        pictures_folder(step.home.reports, NAME, step.ds),
        study_drawings(scores, confusions),
        lambda name: "attribute_confusions" if name.startswith("confusion") else NAME,
    )


STAGES = (study_attributes,)
