"""What customers of the sample retailer do on a day: sessions, and in them views, saves, bags and purchases.

What belongs here: drawing sessions and choices from :class:`~atelier.sources.sample.choice.Choice`, and the table
`interactions` of a day. What does not: the probabilities themselves.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.catalogue import Articles, Codes, Floats, money, names_of, numbered, pick
from atelier.sources.sample.choice import ANYTHING, HAUL, Choice
from atelier.sources.sample.config import SampleConfig

KINDS = ("view", "save", "bag", "purchase")
CHANNELS = ("app", "shop", "web")
REMEMBERED = 6
_APP, _SHOP, _WEB = range(3)
_LAST_SECOND = 86_399


@dataclass
class Memory:
    """What each of m customers bought last: the only state that passes from one day to the next.

    Attributes:
        articles: int32 [m, REMEMBERED], a ring of articles.
        count: int64 [m], how many were ever put into it.
        last_day: int32 [m], day of the last purchase.
    """

    articles: NDArray[np.int32]
    count: NDArray[np.int64]
    last_day: NDArray[np.int32]

    @classmethod
    def empty(cls, customers: int) -> "Memory":
        """The memory of customers none of whom has bought anything."""
        return cls(
            np.full((customers, REMEMBERED), -1, dtype=np.int32),
            np.zeros(customers, dtype=np.int64),
            np.zeros(customers, dtype=np.int32),
        )

    def recall(self, customers: Codes, position: Floats) -> Codes:
        """One of the articles that each customer bought last, chosen by a position in [0, 1); −1 for none."""
        held = np.minimum(self.count[customers], REMEMBERED)
        back = np.floor(position * held).astype(np.int64)
        slot = (self.count[customers] - 1 - back) % REMEMBERED
        return np.where(held > 0, self.articles[customers, slot], -1).astype(np.int64)

    def remember(self, customers: Codes, articles: Codes, day: int) -> None:
        """Add a day's purchases; of a customer with more than REMEMBERED only the last ones are remembered."""
        order = np.argsort(customers, kind="stable")
        who, what = customers[order], articles[order]
        _, starts, counts = np.unique(who, return_index=True, return_counts=True)
        nth = np.arange(len(who)) - np.repeat(starts, counts)
        last = np.repeat(counts, counts) - nth <= REMEMBERED
        slots = (self.count[who[last]] + nth[last]) % REMEMBERED
        self.articles[who[last], slots] = what[last]
        np.add.at(self.count, who, 1)
        self.last_day[who] = day


@dataclass(frozen=True)
class Sessions:
    """The sessions of a day; arrays of length s.

    Attributes:
        customers: whose.
        groups: the group of product types looked for; −1 for anything.
        channels: index into CHANNELS.
        buying: whether something may be bought.
        starts: second of the day.
        considered: how many articles are considered.
    """

    customers: Codes
    groups: Codes
    channels: Codes
    buying: NDArray[np.bool_]
    starts: Codes
    considered: Codes


@dataclass
class Shelf:
    """What can be bought on a day, arranged for drawing: articles by group, and φ_z summed along them.

    Attributes:
        rows: int [a], the articles, sorted by group and then by id.
        cumulative: float [Z, a + 1], running sums of φ_z from 0.
        bounds: int [groups + 1], where each group starts in ``rows``.
    """

    rows: Codes
    cumulative: Floats
    bounds: Codes
    flat: Floats = field(init=False)

    def __post_init__(self) -> None:
        # All styles in one rising sequence: style z runs from z to z + 1, so that one binary search serves every draw.
        self.flat = (self.cumulative[:, 1:] + np.arange(len(self.cumulative))[:, None]).ravel()

    @classmethod
    def of(cls, choice: Choice, day: int) -> "Shelf":
        """The shelf of a day."""
        rows = np.flatnonzero(choice.available(day))
        rows = rows[np.argsort(choice.groups[rows], kind="stable")]
        cumulative = np.zeros((len(choice.likings), len(rows) + 1))
        if len(rows):
            np.cumsum(choice.attraction(day, rows), axis=1, out=cumulative[:, 1:])
            cumulative /= cumulative[:, -1:]
        bounds = np.searchsorted(choice.groups[rows], np.arange(len(taxonomy.GROUPS) + 1))
        return cls(rows, cumulative, bounds)

    @property
    def group_shares(self) -> Floats:
        """Float [Z, groups]: the share of each group in each style's choices."""
        return np.asarray(np.diff(self.cumulative[:, self.bounds], axis=1))

    def draw(self, rng: np.random.Generator, tastes: Floats, groups: Codes) -> Codes:
        """One article for each row of ``tastes`` [d, Z] and group (−1: any), from p(i | u, t) within the group."""
        shares = np.concatenate([self.group_shares, np.ones((len(self.cumulative), 1))], axis=1)
        style = pick(rng, tastes * shares.T[groups])  # −1 takes the last column: anything
        low = np.where(groups >= 0, self.cumulative[style, self.bounds[groups]], 0.0)
        high = np.where(groups >= 0, self.cumulative[style, self.bounds[groups + 1]], 1.0)
        position = low + rng.random(len(groups)) * (high - low)
        found = np.searchsorted(self.flat, style + position, side="right") - style * len(self.rows)
        first = np.where(groups >= 0, self.bounds[groups], 0)
        last = np.where(groups >= 0, self.bounds[groups + 1], len(self.rows)) - 1
        return np.asarray(self.rows[np.clip(found, first, last)])  # rounding at a group's edge must not leave the group


def _start_seconds(rng: np.random.Generator, n: int) -> Codes:
    """Seconds of the day at which sessions start: a peak at noon and a higher one in the evening."""
    hours = np.where(rng.random(n) < 0.35, rng.normal(12.5, 2.0, n), rng.normal(20.0, 2.0, n))
    return np.asarray(np.clip(hours * 3600, 6 * 3600, 23.6 * 3600), dtype=np.int64)


def draw_sessions(choice: Choice, shelf: Shelf, day: int, rng: np.random.Generator) -> tuple[Sessions, Floats]:
    """The sessions of a day, sorted by start, and θ [s, Z] of each one's customer."""
    config = choice.config
    rate = np.cumsum(choice.sessions(day, np.arange(len(choice.customers))))
    n = int(rng.poisson(rate[-1]))
    starts = np.sort(_start_seconds(rng, n))
    # A Poisson number of sessions, each given to a customer in proportion to their rate, is a Poisson process of each.
    customers = np.searchsorted(rate, rng.random(n) * rate[-1], side="right")
    tastes = choice.tastes(day, customers)
    groups = pick(rng, tastes @ shelf.group_shares) if n else np.zeros(0, dtype=np.int64)
    groups = np.where(rng.random(n) < ANYTHING, -1, groups)
    prefers_app = (customers * 2_654_435_761 >> 7) % 100 < 55  # fixed for each customer
    online = np.where(prefers_app ^ (rng.random(n) < 0.1), _APP, _WEB)
    channels = np.where(rng.random(n) < config.shop_sessions, _SHOP, online)
    buying = rng.random(n) < config.buying_sessions
    haul = np.where(rng.random(n) < config.hauls, HAUL, 1.0)
    considered = rng.geometric(1 / (config.considered * haul))
    return Sessions(customers, groups, channels, buying, starts, considered), tastes


def draw_day(choice: Choice, articles: Articles, memory: Memory, day: int, rng: np.random.Generator) -> pa.Table:
    """The interactions of a day.

    Args:
        choice: the model.
        articles: the catalogue, for its prices.
        memory: what everyone bought last; it learns the day's purchases.
        day: the day, counted from the first day of history.
        rng: where chance comes from.

    Returns:
        customer_id, article_id, occurred_at, kind, price, channel, session_id, sorted by time.
    """
    shelf = Shelf.of(choice, day)
    if not len(shelf.rows):
        return _table(choice, articles, day, (np.zeros(0, dtype=np.int64),) * 6)
    sessions, tastes = draw_sessions(choice, shelf, day, rng)
    of_session = np.repeat(np.arange(len(sessions.customers)), sessions.considered)
    considered = shelf.draw(rng, tastes[of_session], sessions.groups[of_session])
    considered = _repeated(choice, memory, day, rng, sessions.customers[of_session], considered)
    events = _funnel(choice.config, rng, sessions, of_session, considered)
    customers, chosen, _, kind, _, _ = events
    bought = kind == KINDS.index("purchase")
    memory.remember(customers[bought], chosen[bought], day)
    return _table(choice, articles, day, events)


def _repeated(
    choice: Choice, memory: Memory, day: int, rng: np.random.Generator, customers: Codes, chosen: Codes
) -> Codes:
    """Replace some choices by what the customer bought lately and can still buy."""
    config = choice.config
    again = memory.recall(customers, rng.random(len(customers)))
    chance = config.repeat * 0.5 ** ((day - memory.last_day[customers]) / config.repeat_half_life)
    repeats = (rng.random(len(customers)) < chance) & (again >= 0)
    repeats &= choice.available(day)[again]
    return np.where(repeats, again, chosen)


def _funnel(
    config: SampleConfig, rng: np.random.Generator, sessions: Sessions, of_session: Codes, considered: Codes
) -> tuple[Codes, ...]:
    """Turn considered articles into views, saves, bags and, at the end of the session, purchases.

    Returns:
        Of each event, by time: customer, article, second of the day, kind, channel, session.
    """
    n = len(of_session)
    starts_at = np.cumsum(sessions.considered) - sessions.considered
    elapsed = np.cumsum(rng.integers(5, 90, size=n))
    elapsed -= (elapsed[starts_at] if n else elapsed)[of_session]
    seen_at = np.minimum(sessions.starts[of_session] + elapsed, _LAST_SECOND - 2)
    online = sessions.channels[of_session] != _SHOP
    saved = rng.random(n) < config.saved
    bagged = rng.random(n) < config.bagged
    bought = bagged & sessions.buying[of_session] & (rng.random(n) < config.bought)
    units = np.where(bought, rng.geometric(1 - config.second_unit, size=n), 0)
    checkout = np.zeros(len(sessions.customers), dtype=np.int64)
    np.maximum.at(checkout, of_session, seen_at + 2)
    rows = [np.flatnonzero(online), np.flatnonzero(online & saved), np.flatnonzero(online & bagged)]
    rows.append(np.repeat(np.arange(n), units))
    times = [seen_at[rows[0]], seen_at[rows[1]] + 1, seen_at[rows[2]] + 1, checkout[of_session[rows[3]]]]
    row, second = np.concatenate(rows), np.concatenate(times)
    kind = np.repeat(np.arange(len(KINDS)), [len(part) for part in rows])
    order = np.lexsort((kind, row, of_session[row], second))
    row, second, kind = row[order], second[order], kind[order]
    session = of_session[row]
    return sessions.customers[session], considered[row], second, kind, sessions.channels[session], session


def _table(choice: Choice, articles: Articles, day: int, events: tuple[Codes, ...]) -> pa.Table:
    """The Arrow table of a day's interactions; events as :func:`_funnel` gives them."""
    customers, chosen, second, kind, channels, session = events
    ds: date = choice.config.first_day + timedelta(days=day)
    midnight = np.datetime64(ds, "us")
    pence = np.round(articles.price_on(day) * 100).astype(np.int64)
    return pa.table(
        {
            "customer_id": pa.array(choice.customers[customers], pa.string()),
            "article_id": pa.array(choice.articles[chosen], pa.string()),
            "occurred_at": pa.array(midnight + second.astype("timedelta64[s]"), pa.timestamp("us")),
            "kind": names_of(KINDS, kind),
            "price": money(pence[chosen]),
            "channel": names_of(CHANNELS, channels),
            "session_id": numbered(f"{ds:%Y%m%d}-", session, 7),
        }
    )
