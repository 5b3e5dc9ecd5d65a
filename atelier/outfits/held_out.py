"""How well an outfit model answers for outfits that it was not trained on, beside the best of the controls.

What belongs here: one split, one model, one set of questions: what a daily run reports. What does not: comparing
several splits, seeds and variants (``benchmarks.mango_outfits``).
"""

import json
from typing import NamedTuple, Self

from atelier.arrays import Int64s
from atelier.articles.table import Articles
from atelier.outfits.article_inputs import attribute_names
from atelier.outfits.compatibility import OutfitModel
from atelier.outfits.config import OutfitConfig
from atelier.outfits.controls import Joined, Scorer, controls
from atelier.outfits.evaluation import Interval, mean_over_outfits, right_answers, scored
from atelier.outfits.outfits import Outfits
from atelier.outfits.questions import Questions, fill_in_the_blank
from atelier.outfits.splits import Split, split_by_outfit

JOINED = "joined"


class HeldOut(NamedTuple):
    """Right answers to questions about outfits that were held out.

    Attributes:
        questions: how many were asked, each with four candidates of one family.
        model: the model's share of right answers.
        control: the name of the control with the most right answers.
        best: its share.
        gain: the model's share less the control's, paired.
    """

    questions: int
    model: Interval
    control: str
    best: Interval
    gain: Interval


class Measured(NamedTuple):
    """What is kept of a measurement beside the model, for whoever takes that model again.

    Attributes:
        found: the answers; None: nothing could be asked.
        why_not: why nothing could be asked.
    """

    found: HeldOut | None
    why_not: str = ""

    def to_json(self) -> str:
        """The text of a file; numbers keep all their digits."""
        return json.dumps({"found": self.found, "why_not": self.why_not}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What :meth:`to_json` wrote."""
        read = json.loads(text)
        if read["found"] is None:
            return cls(None, read["why_not"])
        questions, model, control, best, gain = read["found"]
        return cls(HeldOut(questions, Interval(*model), control, Interval(*best), Interval(*gain)), read["why_not"])


def held_out_accuracy(outfits: Outfits, articles: Articles, config: OutfitConfig) -> HeldOut:
    """Train on 80% of the outfits, and ask which article is missing from each of 10%; the rest joins the controls.

    Wrong answers are of the true article's family, drawn by how many outfits of training they belong to. Only articles
    that were trained on are asked for: wrong answers are always such, so that counts would tell others by that alone.

    Args:
        outfits: all there are.
        articles: as the model reads them.
        config: of the model; its seed is that of the split and of the questions too.

    Raises:
        OutfitsError: there are too few outfits or articles to train or to ask.
    """
    split = split_by_outfit(outfits, config.seed)
    model = OutfitModel(config).fit(split.train, articles)
    families = model.fitted.inputs.families
    names = list(attribute_names(articles, config))
    counting = controls(split.train, model.fitted.inputs.codes, names)
    asked = _questions(split, split.test, families, config.seed)
    joined = Joined.fit(tuple(counting.values()), _questions(split, split.validation, families, config.seed))
    scorers: dict[str, Scorer] = {**counting, JOINED: joined}
    right = {name: right_answers(scored(scorer, asked)) for name, scorer in scorers.items()}
    mine = right_answers(scored(model.scorer(), asked))
    best = max(right, key=lambda name: float(right[name].mean()))
    means = [mean_over_outfits(values, asked.outfits) for values in (mine, right[best], mine - right[best])]
    return HeldOut(len(asked), means[0], best, means[1], means[2])


def _questions(split: Split, part: Outfits, families: Int64s, seed: int) -> Questions:
    frequency = split.train.frequency
    return fill_in_the_blank(part, families, "popularity", frequency=frequency, seed=seed, asked=frequency > 0)
