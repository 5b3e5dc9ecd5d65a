"""The study of the attribute network: what each modality brings, how fast it learns, how far linear classifiers get.

What belongs here: running the trainings of a plan and caching their results, so that a study that was killed continues
where it was. What does not: which trainings (:mod:`atelier.studies.attribute_plan`), one training and its evaluation
(:mod:`atelier.studies.attribute_fits`), plots (:mod:`atelier.report.attribute_study`), the daily model's evaluation
(:mod:`atelier.attributes.evaluation`).

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), section 4: the
evaluation table, F1 by training step, confusion matrices and the ablation.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from atelier.articles.table import Articles
from atelier.frames import Frame
from atelier.progress import progress
from atelier.studies.attribute_fits import AttributeFitResult, TrainTest, run_fit
from atelier.studies.attribute_plan import AttributeFit, AttributeStudyPlan, Split
from atelier.studies.results_cache import ResultsCache, cached, made_with


def run_study(
    articles: Frame | Articles,
    labels: Frame,
    plan: AttributeStudyPlan,
    *,
    kept: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> list[AttributeFitResult]:
    """Run every training of a study, or read its result where an earlier run, perhaps a killed one, cached it.

    Args:
        articles: as for :meth:`AttributeModel.fit`; ``product_code`` says what a style is.
        labels: as for :meth:`AttributeModel.fit`.
        plan: which trainings.
        kept: where results are kept; None keeps none.
        data: what identifies articles and labels, for example the versions of their tables: kept results are read
            again only where this, the plan, the code, the libraries and the device are the same.
        device: where to compute, as PyTorch names it.

    Returns:
        One result for each of ``plan.fits()``, in that order.

    Raises:
        ArticlesError: as :meth:`AttributeModel.fit`; a variant that does not exist.
        CachedResultError: a kept file is damaged.
        ValueError: ``kept`` without ``data``.
    """
    table = Articles.from_frame(articles)
    code = made_with([__name__], ("numpy", "scikit-learn", "torch"))

    @lru_cache(maxsize=1)  # one split at a time in memory
    def sides(split: Split) -> TrainTest:
        return TrainTest.of(table, labels, plan, split)

    def result(fit: AttributeFit) -> AttributeFitResult:
        parts = {"plan": plan.identity(fit), "made_by": {**code, "device": device}}
        return cached(
            kept, data, parts, AttributeFitResult, lambda: run_fit(fit, sides(fit.split), plan, device=device)
        )

    return [result(fit) for fit in progress(plan.fits(), "attribute study", unit="fit")]


def scores_of(results: Sequence[AttributeFitResult]) -> pd.DataFrame:
    """The scores of all trainings: split, variant, attribute, metric, side, step, value."""
    return _stacked([(result, result.scores) for result in results])


def confusions_of(results: Sequence[AttributeFitResult]) -> pd.DataFrame:
    """The confusions of all trainings: split, attribute, actual, predicted, articles, share.

    ``share`` is ``articles`` over all test articles with that annotated value: the rows of a matrix sum to 1.
    """
    told = [(result, result.confusions) for result in results if result.confusions]
    if not told:
        return pd.DataFrame(columns=["split", "attribute", "actual", "predicted", "articles", "share"])
    pairs = _stacked(told).drop(columns="variant")
    totals = pairs.groupby(["split", "attribute", "actual"])["articles"].transform("sum")
    return pairs.assign(share=pairs["articles"] / totals)


def _stacked(parts: Sequence[tuple[AttributeFitResult, dict[str, list[Any]]]]) -> pd.DataFrame:
    frames = [pd.DataFrame(columns).assign(split=fit.split, variant=fit.variant) for fit, columns in parts]
    return pd.concat(frames, ignore_index=True)
