"""The ranker by boosted trees: LightGBM's LambdaRank over the features of candidates.

What belongs here: training and predicting, and the trees as text for a bundle. What does not: features
(:mod:`~atelier.recommenders.two_stage.ranking_features`), the choice of examples
(:mod:`~atelier.recommenders.two_stage.two_stage`), contributions of many rows
(:mod:`~atelier.recommenders.two_stage.contributions`).

Sources: C. Burges, From RankNet to LambdaRank to LambdaMART, Microsoft Research 2010; G. Ke and others, LightGBM: A
Highly Efficient Gradient Boosting Decision Tree, NeurIPS 2017.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import Any, Protocol

import lightgbm
import numpy as np
import pandas as pd

from atelier.arrays import Float32s, Float64s
from atelier.bundles import Array
from atelier.errors import BundleError
from atelier.progress import progress
from atelier.recommenders.two_stage.contributions import TreeContributions
from atelier.recommenders.two_stage.examples import Examples
from atelier.recommenders.two_stage.training_curves import curve, look
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig

LOOKS = 15
"""Numbers of trees at which the training curve has its figures."""
MANY = 4096
"""Rows whose contributions are the same but dearer where LightGBM makes them one by one."""


class Ranker(Protocol):
    """Scores candidates, and says what moved a score."""

    def scores(self, features: Float32s) -> Float64s:
        """The score of each row of features, float64 [m]; comparable within a list."""
        ...

    def contributions(self, features: Float32s) -> Float64s:
        """How much each feature added to each score, float64 [m, features]."""
        ...

    def arrays(self) -> dict[str, Array]:
        """What a bundle keeps of it."""
        ...


def parameters(config: TwoStageConfig) -> dict[str, Any]:
    """LightGBM's parameters. Only with ``deterministic`` and ``force_row_wise`` do equal data give equal trees."""
    return {
        "objective": "lambdarank",
        "lambdarank_truncation_level": config.truncation,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.min_examples_in_leaf,
        "feature_fraction": config.feature_fraction,
        "lambda_l2": config.l2,
        "seed": config.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": config.threads,
        "verbosity": -1,
    }


class BoostedRanker:
    """Trees that score candidates.

    Args:
        text: LightGBM's text model, without the parameters at its end: the model's config has them, and nothing in a
            bundle may depend on the number of threads, which is among them.
        threads: that score at once; the scores do not depend on it.

    Raises:
        LightGBMError: the text is no model.
    """

    def __init__(self, text: str, threads: int) -> None:
        self._text, self._threads = text, threads
        self._booster = lightgbm.Booster(model_str=text)

    @classmethod
    def trained(cls, examples: Examples, names: Sequence[str], config: TwoStageConfig) -> "BoostedRanker":
        """Train on examples.

        Args:
            examples: at least one list, each with a positive.
            names: of the features.
            config: the model's.
        """
        data = lightgbm.Dataset(
            examples.features,
            examples.labels,
            group=examples.groups,
            feature_name=list(names),
            params=parameters(config),
        )
        booster = lightgbm.Booster(parameters(config), data)
        for _ in progress(range(config.trees), "two_stage: boosting", unit="tree"):
            if booster.update():
                break  # no further split helps
        trees, _, _ = booster.model_to_string().partition("\nparameters:")
        return cls(f"{trees}\n", config.threads)

    def scores(self, features: Float32s) -> Float64s:
        """The score of each row, float64 [m]; comparable within a list."""
        if not len(features):
            return np.zeros(0)
        return np.asarray(self._booster.predict(features, num_threads=self._threads), dtype=np.float64)

    def contributions(self, features: Float32s) -> Float64s:
        """How much each feature added to each score, float64 [m, features].

        These are LightGBM's own: TreeSHAP (Lundberg, Erion, Lee 2018). With the trees' mean they add up to the score.
        """
        if not len(features):
            return np.zeros((0, features.shape[1]))
        if len(features) >= MANY:
            return self._contributions(features)
        found = self._booster.predict(features, pred_contrib=True, num_threads=self._threads)
        return np.asarray(found, dtype=np.float64)[:, :-1]

    @cached_property
    def _contributions(self) -> TreeContributions:
        return TreeContributions(self._booster)

    def curve(self, parts: Mapping[str, Examples]) -> pd.DataFrame:
        """The training curve by the number of trees: what lists would be worth if training had ended with these.

        Args:
            parts: the lists that are judged, by part.
        """
        cuts = np.unique(np.linspace(0, self._booster.num_trees(), LOOKS + 1).round().astype(int))
        scores = {part: np.zeros(len(each.labels)) for part, each in parts.items() if len(each.labels)}
        looks = []
        for start, stop in pairwise(cuts.tolist()):
            for part, so_far in scores.items():
                so_far += self._booster.predict(  # a score is the sum of its trees
                    parts[part].features, start_iteration=start, num_iteration=stop - start, num_threads=self._threads
                )
            looks.append((stop, look(parts, scores)))
        return curve(looks)

    def gains(self) -> dict[str, float]:
        """The total gain of the splits by each feature, by name."""
        gain = self._booster.feature_importance("gain")
        return dict(zip(self._booster.feature_name(), map(float, gain), strict=True))

    def arrays(self) -> dict[str, Array]:
        """What :meth:`from_arrays` reads, for a bundle.

        ``trees`` is LightGBM's text model as UTF-8, uint8 [bytes], and ``trees_sha256`` its digest, uint8 [32].
        """
        trees = self._text.encode()
        return {
            name: np.frombuffer(held, dtype=np.uint8).copy()
            for name, held in {"trees": trees, "trees_sha256": sha256(trees).digest()}.items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], names: Sequence[str], threads: int) -> "BoostedRanker":
        """The ranker of a text model. The digest is checked first: LightGBM ends the process on some damaged texts.

        Raises:
            BundleError: it is not the text that was saved, no text model, or reads another number of features.
        """
        if "trees" not in arrays or "trees_sha256" not in arrays:
            raise BundleError("the trees of two_stage are there without their digest: train the model again")
        trees = arrays["trees"].tobytes()
        if sha256(trees).digest() != arrays["trees_sha256"].tobytes():
            raise BundleError("the trees of two_stage are not those that were saved: train the model again")
        try:
            ranker = cls(trees.decode(), threads)
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
            raise BundleError(f"the trees of two_stage cannot be read ({error}): train the model again") from error
        if (found := ranker._booster.num_feature()) != len(names):
            raise BundleError(
                f"the trees of two_stage read {found} features, this version makes {len(names)}: train the model again"
            )
        return ranker
