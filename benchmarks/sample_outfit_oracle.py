"""The best answers about the sample retailer's outfits, by one who knows how they were drawn.

What belongs here: the probability of an outfit by the generator's own rules. What does not: the rules
(:mod:`atelier.sources.sample.outfits`), questions, tables.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from atelier.arrays import Float64s, Int64s
from atelier.articles.table import Articles
from atelier.outfits.controls import Scorer
from atelier.sources.sample import SampleConfig, catalogue, population, taxonomy
from atelier.sources.sample.generate import stream
from atelier.sources.sample.outfits import SHARP, TEMPLATES, goes_with

UNSEEN = 0.5
"""Outfits that an article never combined is taken to have been in, as the model's popularity does."""


@dataclass(frozen=True, eq=False)
class Oracle:
    """Scores candidates by the probability of the whole outfit, over all styles that may have made it.

    An outfit is made for a style z, all equally likely; its articles are chosen role by role, in the order of its
    template, in proportion to exp(SHARP · s), where s is the liking of the first and how well each later one goes with
    those before. So log P(outfit) = log Σ_z Π_r exp(SHARP · s_r) / Σ_pool exp(SHARP · s). The generator compares the
    article with two dozen drawn at random and not with its whole pool: the only approximation.

    Attributes:
        articles: the generator's, of which the retailer sells some on a day.
        likings: float [styles, all articles].
        places: the generator's number of each article of the day, int64 [n].
        roles: the role of each of the generator's articles, int64.
    """

    articles: catalogue.Articles
    likings: Float64s
    places: Int64s
    roles: Int64s

    @classmethod
    def of(cls, config: SampleConfig, sold: Articles) -> Self:
        """The oracle of a retailer that was generated with ``config``; ``sold``: the articles that questions number."""
        articles = catalogue.draw_articles(config, stream(config, "catalogue"))
        divisions = population.style_divisions(config, stream(config, "styles"))
        likings = population.draw_affinities(config, articles, divisions, stream(config, "likings"))
        by_id = {str(name): place for place, name in enumerate(articles.ids)}
        places = np.array([by_id[str(name)] for name in sold.names], np.int64)
        role_of_type = np.array([taxonomy.ROLES.index(kind.role) for kind in taxonomy.TYPES])
        return cls(articles, likings, places, role_of_type[articles.types].astype(np.int64))

    def scorer(self, matched: float, frequency: Int64s) -> Scorer:
        """Scores for questions whose wrong answers were drawn uniformly, or by popularity.

        Args:
            matched: 1 where wrong answers were drawn by how many training outfits they are in: the best answer is then
                the most probable one over that; 0 where all were equally likely.
            frequency: of each article in outfits of training, int64 [n].
        """
        prior = np.log(frequency + UNSEEN)

        def score(rest: Int64s, candidates: Int64s) -> Float64s:
            found = np.array(
                [
                    [self.log_probability(np.append(row[row >= 0], candidate)) for candidate in offered]
                    for row, offered in zip(rest, candidates, strict=True)
                ]
            )
            answers: Float64s = found - matched * prior[candidates]
            return answers

        return score

    def log_probability(self, outfit: Int64s) -> float:
        """The log of an outfit's probability, of distinct articles by number; −∞ where no template has its roles."""
        members = self.places[outfit]
        order = _template_order(self.roles[members])
        if order is None:
            return -np.inf
        styles = np.arange(len(self.likings))[:, None]
        total, before = np.zeros(len(self.likings)), np.zeros(0, np.int64)
        for member in members[order]:
            pool = np.flatnonzero(self.roles == self.roles[member])
            scores = self.likings[:, pool]
            if len(before):
                pairs = [
                    goes_with(self.articles, self.likings, styles, before[[place]], pool)
                    for place in range(len(before))
                ]
                scores = np.mean(pairs, axis=0)
            logits = SHARP * scores
            top = logits.max(axis=1, keepdims=True)
            level = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
            total += logits[:, np.searchsorted(pool, member)] - level
            before = np.append(before, member)
        return float(np.logaddexp.reduce(total))


def _template_order(roles: Int64s) -> list[int] | None:
    """The places of an outfit's articles in the order of its template; None where no template has these roles."""
    names = [taxonomy.ROLES[role] for role in roles]
    template = next((each for each in TEMPLATES if sorted(each) == sorted(names)), None)
    return None if template is None else [names.index(name) for name in template]
