"""How probably each label is wrong, calibrated on errors that are made up, attribute by attribute.

What belongs here: the rate of wrong labels, the probability that a doubted one is wrong, the expected share of true
errors in a list with its interval. What does not: the predictions out of fold and the list
(:mod:`atelier.attributes.label_errors`).

The labels of an attribute are a mixture: right ones, and a share ε of wrong ones. How wrong ones look is known without
knowing any of them: an article's prediction out of fold does not depend on its label, so any other value in the place
of the annotated one is an error made up, with the score that it would have. Let f be the density of the scores of the
labels and f₁ that of the made-up errors. Then f/f₁ = ε + (1 − ε) f₀/f₁, where f₀/f₁, how much rather a right label has
such a score, is taken as exp(−a − b·g(score)). g is the score itself up to 0 and grows like its logarithm above
(:func:`compressed`): a network that is wrong is often very sure of it. The three numbers are fitted by telling labels
from made-up errors (logistic discrimination with contamination); the rate ε is where f/f₁ ends at high scores. It is
hard to see for an attribute that the model hardly knows, because the model's mistakes look like errors of people. So
attributes share one rate, from which an attribute of its own may deviate as far as its labels insist (a hierarchical
prior), and likewise a and b. The probability that a label is wrong is ε f₁/f, as in the local false discovery rate.

Assumed: people who err choose any other value alike. Where they confuse neighbouring values, errors look less doubtful
than the made-up ones, and more are missed.

Sources: Scott, "A Rate of Convergence for Mixture Proportion Estimation, with Application to Learning from Noisy
    Labels"
(AISTATS 2015), for the rate as the infimum of f/f₁; Efron, "Size, Power and False Discovery Rates" (Annals of
Statistics 2007), for the local rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from atelier.arrays import Float64s, Int64s

BINS = np.linspace(-12.0, 12.0, 97)
"""Edges of the bins of scores; what lies outside counts in the outermost."""
CENTRES = np.concatenate([BINS[:1], (BINS[1:] + BINS[:-1]) / 2, BINS[-1:]])
CONFIDENT = 4.0
USUAL_RATE, RATE_SPREAD = 0.033, 0.3
"""The prior of the shared rate: a normal distribution of its logit. 3.3% is the mean that people confirmed over ten
data sets (Northcutt, Athalye and Mueller, "Pervasive Label Errors in Test Sets Destabilize Machine Learning
Benchmarks", NeurIPS 2021)."""
OWN_RATE_SPREAD, OWN_SHAPE_SPREAD = 0.3, 1.0
"""How far an attribute deviates from the shared rate (in logits) and from the shared a and b."""
RESAMPLES = 60
INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class ScoreCounts:
    """The scores of an attribute's labels in bins.

    Attributes:
        labels: float64 [bins]: labels.
        made_up: float64 [bins]: made-up errors; their sum is that of the labels.
    """

    labels: Float64s
    made_up: Float64s

    @classmethod
    def of(cls, scores: Float64s, made_up: Float64s, weights: Float64s) -> "ScoreCounts":
        """Count scores.

        Args:
            scores: float64 [n]: of the labels.
            made_up: float64 [m]: of the made-up errors.
            weights: float64 [m]: of each.
        """
        return cls.balanced(binned(scores), binned(made_up, weights))

    @classmethod
    def balanced(cls, labels: Float64s, made_up: Float64s) -> "ScoreCounts":
        """Of scores in bins, float64 [bins] each; those of made-up errors are scaled to the sum of the labels."""
        return cls(labels, made_up * (labels.sum() / max(made_up.sum(), 1e-12)))


def compressed(scores: Float64s) -> Float64s:
    """The function g of the module's docstring: s where it is at most 0, otherwise 4 log(1 + s / 4).

    Scores are cut off at the outermost bins.
    """
    inside = np.clip(scores, BINS[0], BINS[-1])
    found: Float64s = np.where(inside > 0, CONFIDENT * np.log1p(np.maximum(inside, 0.0) / CONFIDENT), inside)
    return found


def bins_of(scores: Float64s) -> Int64s:
    """The bin of each score, int64 [n]."""
    return np.searchsorted(BINS, scores, side="right").astype(np.int64)


def binned(scores: Float64s, weights: Float64s | None = None) -> Float64s:
    """How many scores lie in each bin, or the sum of their weights: float64 [bins]."""
    return np.bincount(bins_of(scores), weights, minlength=len(CENTRES)).astype(np.float64)


@dataclass(frozen=True)
class LabelNoise:
    """What was fitted, for each of some attributes.

    Attributes:
        rates: float64 [attributes]: the share of wrong labels, ε.
        offsets: float64 [attributes]: a.
        slopes: float64 [attributes]: b, above 0.
    """

    rates: Float64s
    offsets: Float64s
    slopes: Float64s

    @classmethod
    def fit(cls, counts: Sequence[ScoreCounts]) -> "LabelNoise":
        """The most probable rates and shapes given the scores (maximum a posteriori)."""
        size = len(counts)
        if not size:
            return cls(np.zeros(0), np.zeros(0), np.zeros(0))
        labels, made_up = (np.stack([getattr(each, name) for each in counts]) for name in ("labels", "made_up"))
        start = np.concatenate([[_logit(USUAL_RATE), 0.0, 0.0], np.zeros(3 * size)])
        result = minimize(_cost, start, args=(labels, made_up), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        rate, offset, slope = _parameters(result.x)
        return cls(expit(rate), offset, np.exp(slope))

    def error_probability(self, attribute: int, scores: Float64s) -> Float64s:
        """How probably labels of an attribute are wrong, float64 [n], by their scores; it rises with the score."""
        rate = self.rates[attribute]
        found: Float64s = expit(_logit(rate) + self.offsets[attribute] + self.slopes[attribute] * compressed(scores))
        return found


def _logit(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))


def _parameters(x: Float64s) -> tuple[Float64s, Float64s, Float64s]:
    """The logit of the rate, a, and the logarithm of b of each attribute, float64 [attributes] each."""
    own = x[3:].reshape(3, -1)
    return x[0] + own[0], x[1] + own[1], x[2] + own[2]


def _cost(x: Float64s, labels: Float64s, made_up: Float64s) -> tuple[float, Float64s]:
    """The negative logarithm of the posterior, and its gradient.

    A score is a label's, and not a made-up error's, with the odds f/f₁ = ε + (1 − ε) exp(−a − b·g).
    """
    levels = compressed(CENTRES)
    rate, offset, log_slope = _parameters(x)
    slope = np.exp(log_slope)[:, None]
    right = log_expit(-rate)[:, None] - offset[:, None] - slope * levels  # log of (1 − ε) f₀/f₁
    wrong = np.broadcast_to(log_expit(rate)[:, None], right.shape)
    odds = np.logaddexp(right, wrong)
    own = x[3:].reshape(3, -1)
    spread = np.array([OWN_RATE_SPREAD, OWN_SHAPE_SPREAD, OWN_SHAPE_SPREAD])[:, None]
    prior = 0.5 * ((own / spread) ** 2).sum() + 0.5 * ((x[0] - _logit(USUAL_RATE)) / RATE_SPREAD) ** 2
    cost = -(labels * log_expit(odds) + made_up * log_expit(-odds)).sum() + prior
    slack = -labels * expit(-odds) + made_up * expit(odds)  # ∂cost/∂odds
    of_right = slack * np.exp(right - odds)
    epsilon = expit(rate)[:, None]
    by_rate = (slack * np.exp(wrong - odds) * (1 - epsilon) - of_right * epsilon).sum(axis=1)
    by_offset, by_slope = -of_right.sum(axis=1), -(of_right * slope * levels).sum(axis=1)
    gradient = np.stack([by_rate, by_offset, by_slope])
    shared = gradient.sum(axis=1)
    shared[0] += (x[0] - _logit(USUAL_RATE)) / RATE_SPREAD**2
    return float(cost), np.concatenate([shared, (gradient + own / spread**2).ravel()])


def share_intervals(
    counts: Sequence[ScoreCounts], listed: Sequence[Float64s], *, seed: int = 0
) -> tuple[Float64s, Float64s]:
    """How far the shares of true errors in lists may be from the expected ones by chance: 5% and 95% quantiles.

    The labels of each attribute are drawn anew (a Poisson bootstrap of their counts), everything is fitted again, and
    then it is drawn which of the listed labels are wrong.

    Args:
        counts: of each attribute.
        listed: of each attribute the scores of the labels that its list holds, float64 [listed].
        seed: of what is drawn.

    Returns:
        float64 [attributes + 1] each, the last of all lists together; nan where a list is empty.
    """
    rng = np.random.default_rng(seed)
    sizes = np.array([len(each) for each in listed])
    drawn = np.zeros((RESAMPLES, len(counts)))
    for turn in range(RESAMPLES):
        resampled = [ScoreCounts(rng.poisson(each.labels).astype(np.float64), each.made_up) for each in counts]
        noise = LabelNoise.fit(resampled)
        for place, scores in enumerate(listed):
            drawn[turn, place] = (rng.random(len(scores)) < noise.error_probability(place, scores)).sum()
    wrong, total = np.column_stack([drawn, drawn.sum(axis=1)]), np.append(sizes, sizes.sum())
    shares = np.where(total > 0, wrong / np.maximum(total, 1), np.nan)
    low, high = np.quantile(shares, INTERVAL, axis=0)
    return low, high
