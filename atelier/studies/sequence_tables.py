"""The table of the study of sequence models.

What belongs here: joining the results of its parts. What does not: the parts
(:mod:`atelier.studies.sequence_plan`), the mean over seeds (:mod:`atelier.studies.recommender_tables`).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from atelier.metrics.segments import ALL
from atelier.studies.recommender_scores import RecommenderFitResult
from atelier.studies.recommender_tables import scores_of

COLUMNS = ("part", "variant", "metric", "k", "value", "deviation", "standard_error", "customers", "seeds", "seconds")


def sequence_table(results: Mapping[str, Sequence[RecommenderFitResult]]) -> pd.DataFrame:
    """What every variant of every part reached, over all customers.

    Args:
        results: by part, the results of its fits.

    Returns:
        part, variant, metric, k, value (mean over seeds), deviation (over seeds; null for one), standard_error (over
        customers; null where that has no meaning), customers, seeds, seconds (processor seconds of a fit, mean over
        seeds); parts and variants in the order of the results.

    Raises:
        StudyError: a part has no results, or those of different studies.
    """
    tables = []
    for part, fits in results.items():
        scores = scores_of(fits)
        seconds = {name: [fit.seconds for fit in fits if fit.model == name] for name in {fit.model for fit in fits}}
        means = {name: sum(each) / len(each) for name, each in seconds.items()}
        table = scores[scores["segment"] == ALL].rename(columns={"model": "variant"})
        tables.append(table.assign(part=part, seconds=table["variant"].map(means)))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)].astype({"part": "str"})
