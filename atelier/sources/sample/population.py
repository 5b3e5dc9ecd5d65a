"""The customers of the sample retailer: who they are, how often they come and what they like.

What belongs here: drawing customers and styles, and the table `customers` on a day. What does not: what they do
(:mod:`~atelier.sources.sample.behaviour`).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.catalogue import Articles, Codes, Floats, numbered
from atelier.sources.sample.config import SampleConfig

DRIFT_DAYS = 21.0
JOINED_BEFORE = 0.88
MEMBERSHIPS = ("none", "member", "gold")
NEWSLETTER = ("never", "monthly", "weekly")
# How strongly styles differ in what they like: standard deviations of log preference, times SampleConfig.style_sigma.
OF_TYPE, OF_BRAND, OF_PRODUCT, OF_ARTICLE, OF_OTHER_VALUES = 1.9, 0.9, 1.4, 0.5, 0.4
OF_VALUE = {"colour": 0.8, "pattern": 0.7, "occasion": 1.4, "material": 0.6, "fit": 0.6}
FOREIGN = 3.0  # how much less a style likes the articles of another division


@dataclass(frozen=True)
class Customers:
    """The customers' truth; arrays of length n, sorted by customer_id. Days count from the first day of history.

    Attributes:
        ids: customer ids.
        joined: day of registration; 0 for those who were there before.
        rate: mean sessions on an average day.
        taste_before: float32 [n, styles], the mixture before the drift.
        taste_after: float32 [n, styles], the mixture after it.
        drift_from: day on which the drift begins; it takes DRIFT_DAYS days.
        ages: age in years; −1 where it is unknown.
        memberships: index into MEMBERSHIPS.
        newsletters: index into NEWSLETTER.
    """

    ids: NDArray[np.str_]
    joined: Codes
    rate: Floats
    taste_before: NDArray[np.float32]
    taste_after: NDArray[np.float32]
    drift_from: Floats
    ages: Codes
    memberships: Codes
    newsletters: Codes

    def __len__(self) -> int:
        """How many customers there are."""
        return len(self.ids)


def is_snapshot_day(day: int) -> bool:
    """Whether people register on that day: once a week, so that a weekly table of customers is complete."""
    return day % 7 == 0


def style_divisions(config: SampleConfig, rng: np.random.Generator) -> Codes:
    """Int [styles]: the division at home in which each style is; every division has one where there are enough."""
    shares = np.array(taxonomy.DIVISION_SHARES)
    rest = rng.choice(len(shares), p=shares, size=max(config.styles - len(shares), 0))
    return np.concatenate([np.arange(len(shares)), rest])[: config.styles].astype(np.int64)


def draw_customers(config: SampleConfig, divisions: Codes, rng: np.random.Generator) -> Customers:
    """Draw the customers.

    Args:
        config: how many, how active, how fixed in their tastes.
        divisions: the home of each style.
        rng: where chance comes from.

    Returns:
        The customers of the whole history.
    """
    n = config.customers
    weeks = np.arange(0, config.days, 7)
    joined = np.where(rng.random(n) < JOINED_BEFORE, 0, rng.choice(weeks, size=n))
    home = rng.choice(len(taxonomy.DIVISIONS), p=np.array(taxonomy.DIVISION_SHARES), size=n)
    at_home = divisions[None, :] == home[:, None]
    concentration = np.where(at_home, config.taste_concentration, config.taste_concentration / 8).astype(np.float32)
    before = _dirichlet(rng, concentration)
    after = (1 - np.float32(config.drift)) * before + np.float32(config.drift) * _dirichlet(rng, concentration)
    young = rng.random(n) < 0.6
    ages = np.clip(np.round(np.where(young, rng.normal(27, 5, n), rng.normal(49, 8, n))), 16, 90).astype(np.int64)
    return Customers(
        ids=numbered("c", np.arange(n), 8).to_numpy(zero_copy_only=False).astype(np.str_),
        joined=joined.astype(np.int64),
        rate=rng.gamma(config.activity_shape, config.sessions_per_customer / config.activity_shape, size=n),
        taste_before=before,
        taste_after=after,
        drift_from=rng.uniform(-DRIFT_DAYS, config.days, size=n),
        ages=np.where(rng.random(n) < 0.03, -1, ages),
        memberships=rng.choice(3, p=[0.35, 0.5, 0.15], size=n),
        newsletters=rng.choice(3, p=[0.6, 0.25, 0.15], size=n),
    )


def _dirichlet(rng: np.random.Generator, concentration: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n, k]: a Dirichlet draw for each row of parameters."""
    # gamma(a) = gamma(a + 1) · U^(1/a): small parameters would underflow to a row of zeros; in logarithms they do not.
    logs = np.log(rng.standard_gamma(concentration + 1, dtype=np.float32))
    logs += np.log1p(-rng.random(concentration.shape, dtype=np.float32)) / concentration
    logs -= logs.max(axis=1, keepdims=True)
    weights = np.exp(logs)
    result: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return result


def draw_affinities(config: SampleConfig, articles: Articles, divisions: Codes, rng: np.random.Generator) -> Floats:
    """Float [styles, n]: the logarithm of how much each style likes each article, beside its general popularity.

    Styles like values of attributes, brands, types and a level of prices; the rest of an article's appeal to a style
    is its own and stands in no attribute, as in real life: only behaviour tells of it.
    """
    n, sigma = len(articles), config.style_sigma

    def taste(kinds: int, strength: float) -> Floats:
        return strength * sigma * rng.standard_normal((config.styles, kinds))

    _, product = np.unique(articles.product_codes, return_inverse=True)
    liking = taste(n, OF_ARTICLE) + taste(int(product.max()) + 1, OF_PRODUCT)[:, product]
    for index, attribute in enumerate(taxonomy.ATTRIBUTES):
        codes = articles.attributes[:, index]
        of_value = taste(len(attribute.names), OF_VALUE.get(attribute.name, OF_OTHER_VALUES))
        liking += np.where(codes >= 0, of_value[:, codes], 0.0)
    liking += taste(len(taxonomy.BRANDS), OF_BRAND)[:, articles.brands]
    liking += taste(len(taxonomy.TYPES), OF_TYPE)[:, articles.types]
    level = np.log(np.array(taxonomy.BRAND_PRICE))[articles.brands]
    liking -= sigma * 2.0 * (level[None, :] - rng.normal(0.0, 0.25, size=(config.styles, 1))) ** 2
    return np.asarray(liking - FOREIGN * (divisions[:, None] != articles.divisions[None, :]), dtype=np.float64)


def snapshot(customers: Customers, day: int) -> pa.Table:
    """The table `customers` as known on a day: customer_id, age, profile (membership, newsletter)."""
    known = np.flatnonzero(customers.joined <= day)
    ages = customers.ages[known]
    profile = pa.MapArray.from_arrays(
        pa.array(np.arange(len(known) + 1, dtype=np.int32) * 2),
        pa.array(["membership", "newsletter"], pa.string()).take(pa.array(np.tile([0, 1], len(known)))),
        pa.array(MEMBERSHIPS + NEWSLETTER, pa.string()).take(
            pa.array(np.stack([customers.memberships[known], customers.newsletters[known] + 3], axis=1).ravel())
        ),
    )
    return pa.table(
        {
            "customer_id": pa.array(customers.ids[known], pa.string()),
            "age": pa.array(ages.astype(np.int16), mask=ages < 0),
            "profile": profile,
        }
    )
