"""The outfits that people of the sample retailer put together.

What belongs here: drawing outfits of articles that go together, and the table `outfits` on a day. What does not: any
model of compatibility.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.catalogue import Articles, Codes, Floats, numbered
from atelier.sources.sample.config import SampleConfig

TEMPLATES = (
    ("dress", "shoes", "bag"),
    ("dress", "outer", "shoes", "bag"),
    ("top", "bottom", "shoes"),
    ("top", "bottom", "shoes", "bag"),
    ("top", "bottom", "outer", "shoes"),
    ("top", "bottom", "outer", "shoes", "bag"),
)
CANDIDATES = 24
_NEUTRALS = ("black", "white", "grey", "neutral", "brown", "navy", "light blue")
SHARP = 2.0


@dataclass(frozen=True)
class Outfits:
    """Members of outfits; arrays of length n, sorted by outfit.

    Attributes:
        outfits: number of the outfit, from 0.
        articles: index of the article.
        roles: index into taxonomy.ROLES.
        visible_from: first day on which all of the outfit's articles have been launched.
    """

    outfits: Codes
    articles: Codes
    roles: Codes
    visible_from: Codes


def goes_with(articles: Articles, likings: Floats, style: Codes, left: Codes, right: Codes) -> Floats:
    """float, broadcast over left and right: how well two articles go together for someone of a style.

    The style's liking of the right one, the same occasion, colours that agree (the same, or one of them quiet), and
    not two patterns at once.
    """
    colour, pattern, occasion = (taxonomy.ATTRIBUTE_NAMES.index(name) for name in ("colour", "pattern", "occasion"))
    quiet = np.isin(taxonomy.attribute("colour").names, _NEUTRALS)
    a, b = articles.attributes[left], articles.attributes[right]
    score = 0.4 * likings[style, right] + 1.5 * (a[..., occasion] == b[..., occasion])
    agree = (a[..., colour] == b[..., colour]) | quiet[a[..., colour]] | quiet[b[..., colour]]
    loud = (a[..., pattern] > 0) & (b[..., pattern] > 0)
    apart = (articles.launched[left] > articles.leaves[right]) | (articles.launched[right] > articles.leaves[left])
    return np.asarray(score + 1.5 * agree - 1.5 * loud - 50.0 * apart)


def draw_outfits(config: SampleConfig, articles: Articles, likings: Floats, rng: np.random.Generator) -> Outfits:
    """Draw outfits: a style's favourite to begin with, then for each further role the best of some candidates.

    Args:
        config: how many outfits for each article.
        articles: the catalogue.
        likings: float [styles, n], how much each style likes each article.
        rng: where chance comes from.

    Returns:
        The outfits, none with an article twice; fewer than asked where a role has no articles.
    """
    role_of_type = np.array([taxonomy.ROLES.index(kind.role) for kind in taxonomy.TYPES])
    roles = role_of_type[articles.types]
    count = round(config.outfits_per_article * len(articles))
    template = rng.integers(0, len(TEMPLATES), size=count)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    for index, names in enumerate(TEMPLATES):
        outfits = np.flatnonzero(template == index)
        wanted = [taxonomy.ROLES.index(name) for name in names]
        pools = [np.flatnonzero(roles == role) for role in wanted]
        if len(outfits) == 0 or min(len(pool) for pool in pools) == 0:
            continue
        members = _compose(articles, likings, pools, len(outfits), rng)
        parts.append((np.repeat(outfits, len(wanted)), members.ravel(), np.tile(wanted, len(outfits))))
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Outfits(nothing, nothing, nothing, nothing)
    numbers, members, member_roles = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((members, numbers))
    numbers, members, member_roles = numbers[order], members[order], member_roles[order]
    visible = np.full(count, np.iinfo(np.int64).min)
    np.maximum.at(visible, numbers, articles.launched[members])
    return Outfits(numbers, members, member_roles, visible[numbers])


def _compose(
    articles: Articles, likings: Floats, pools: list[NDArray[np.int64]], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Int [count, roles]: one article of each pool, chosen one after another to go with those before."""
    style = rng.integers(0, len(likings), size=count)[:, None]
    chosen = np.empty((count, len(pools)), dtype=np.int64)
    for role, pool in enumerate(pools):
        candidates = pool[rng.integers(0, len(pool), size=(count, CANDIDATES))]
        score = likings[style, candidates]
        if role:
            pairs = [goes_with(articles, likings, style, chosen[:, [p]], candidates) for p in range(role)]
            score = np.mean(pairs, axis=0)
        noise = rng.gumbel(size=score.shape)  # the best of score + Gumbel noise is a draw from its softmax
        chosen[:, role] = candidates[np.arange(count), np.argmax(SHARP * score + noise, axis=1)]
    return chosen


def snapshot(articles: Articles, outfits: Outfits, day: int) -> pa.Table:
    """The table `outfits` as known on a day: those whose articles have all been launched."""
    rows = np.flatnonzero(outfits.visible_from <= day)
    return pa.table(
        {
            "outfit_id": numbered("o", outfits.outfits[rows], 6),
            "article_id": pa.array(articles.ids[outfits.articles[rows]], pa.string()),
            "role": pa.array(taxonomy.ROLES, pa.string()).take(pa.array(outfits.roles[rows])),
        }
    )
