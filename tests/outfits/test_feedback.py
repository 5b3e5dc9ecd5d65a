"""People's answers: which sets they accept and reject, what a rejection forbids, what the model makes of them."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.answers import ACCEPTED, ANSWERS, REJECTED
from atelier.articles.table import Articles
from atelier.outfits import OutfitModel
from atelier.outfits.complements import LookConfig, complete_looks
from atelier.outfits.completion import complete, outfits_around
from atelier.outfits.config import OutfitConfig
from atelier.outfits.feedback import Feedback, forbidden, rejected_pairs
from atelier.outfits.outfits import OutfitsError
from atelier.outfits.pair_statistics import PairStatistics
from atelier.outfits.training import Lessons, Steps
from tests.outfits.test_compatibility import EACH, SMALL, articles, outfits
from tests.outfits.test_training import network_of
from tests.outfits.tiny import of

NAMES = [f"a{number}" for number in range(9)]
TABLE = Articles.from_frame(pd.DataFrame({"article_id": NAMES}))


def answers(*sets: tuple[str, str]) -> pd.DataFrame:
    """Answers about articles named by their digits: ``("03", "rejected")``."""
    rows = [(f"f{place}", f"a{digit}", answer) for place, (digits, answer) in enumerate(sets) for digit in digits]
    return pd.DataFrame(rows, columns=["outfit_id", "article_id", "answer"], dtype="str")


def members(outfits: object) -> list[list[int]]:
    padded = outfits.padded()  # type: ignore[attr-defined]
    return [[int(code) for code in row if code >= 0] for row in padded]


def test_sets_are_accepted_or_rejected_and_those_that_are_both_are_neither() -> None:
    found = Feedback.from_frame(
        answers(("03", ACCEPTED), ("30", ACCEPTED), ("124", REJECTED), ("56", ACCEPTED), ("65", REJECTED)), TABLE
    )
    assert (members(found.accepted), members(found.rejected)) == ([[0, 3]], [[1, 2, 4]])
    assert (found.contradictory, found.unusable) == (1, 0)


def test_one_answer_with_both_words_is_a_contradiction() -> None:
    frame = answers(("03", ACCEPTED)).assign(answer=[ACCEPTED, REJECTED])
    found = Feedback.from_frame(frame, TABLE)
    assert (len(found.accepted), len(found.rejected), found.contradictory) == (0, 0, 1)


def test_an_answer_about_an_unknown_article_or_about_one_is_of_no_use() -> None:
    frame = pd.concat([answers(("03", REJECTED), ("5", ACCEPTED)), answers(("12", ACCEPTED)).assign(outfit_id="f0")])
    frame.loc[0, "article_id"] = "gone"
    found = Feedback.from_frame(frame, TABLE)
    assert (len(found.accepted), len(found.rejected), found.unusable) == (0, 0, 2)


def test_another_word_or_no_column_is_an_error_that_says_so() -> None:
    with pytest.raises(OutfitsError, match=r"accepted, rejected, not 'maybe'"):
        Feedback.from_frame(answers(("03", "maybe")), TABLE)
    with pytest.raises(OutfitsError, match="no column 'answer'"):
        Feedback.from_frame(answers(("03", ACCEPTED)).drop(columns="answer"), TABLE)


@given(st.lists(st.tuples(st.sets(st.integers(0, 8), min_size=1, max_size=4), st.sampled_from(ANSWERS)), max_size=12))
def test_each_distinct_set_has_one_fate(given_sets: list[tuple[set[int], str]]) -> None:
    found = Feedback.from_frame(answers(*(("".join(map(str, each)), answer) for each, answer in given_sets)), TABLE)
    said: dict[tuple[int, ...], set[str]] = {}
    for each, answer in given_sets:
        if len(each) > 1:
            said.setdefault(tuple(sorted(each)), set()).add(answer)
    for name, outfits_of in ((ACCEPTED, found.accepted), (REJECTED, found.rejected)):
        assert sorted(map(tuple, members(outfits_of))) == sorted(s for s, words in said.items() if words == {name})
    assert found.contradictory == sum(len(words) == 2 for words in said.values())
    assert found.unusable == sum(len(each) < 2 for each, _ in given_sets)


def test_what_would_complete_a_rejected_set_is_forbidden() -> None:
    rejected = of([0, 4], [1, 5, 6], [2, 7])
    assert forbidden(rejected, np.array([0])).tolist() == [4]
    assert forbidden(rejected, np.array([4, 2])).tolist() == [0, 7]
    assert forbidden(rejected, np.array([1])).tolist() == []
    assert forbidden(rejected, np.array([1, 6])).tolist() == [5]
    assert forbidden(of(), np.array([1])).tolist() == []


def test_only_pairs_are_pairs() -> None:
    found = rejected_pairs(of([0, 4], [1, 5, 6])).toarray()
    assert np.argwhere(found).tolist() == [[0, 4], [4, 0]]


def test_weights_count_and_rejected_pairs_do_not() -> None:
    codes = np.zeros((9, 0), np.int64)
    counted = PairStatistics.of(of([0, 4], [0, 5], [1, 5]), codes, np.array([1, 5, 1]), rejected_pairs(of([1, 5])))
    assert counted.together.toarray()[0, [4, 5]].tolist() == [1, 5]
    assert counted.together.toarray()[1].sum() == 0
    assert counted.frequency.tolist() == [6, 1, 0, 0, 1, 6, 0, 0, 0]
    assert counted.outfits == 7


def test_lessons_weigh_answers() -> None:
    lessons = Lessons.of(of([0, 4], [1, 5]), Feedback(of([2, 6]), of([3, 7])), 5)
    assert lessons.weights.tolist() == [1, 1, 5, -5]
    assert members(lessons.outfits) == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert members(lessons.good.outfits) == [[0, 4], [1, 5], [2, 6]]


@cache
def model(answer: str | None, pair: tuple[str, ...]) -> OutfitModel:
    """Trained on outfits of one shade, and on an answer about one set."""
    feedback = pd.DataFrame({"outfit_id": "f", "article_id": list(pair), "answer": answer}, dtype="str")
    config = OutfitConfig(**SMALL, feedback_weight=20)
    return OutfitModel(config).fit(outfits(), articles(), None if answer is None else feedback)


def place_of(made: OutfitModel, article: str, other: str) -> int | None:
    """The place of ``other`` among its family in what completes ``article``; None: it is not listed."""
    listed = complete(made, [article], k=1000)["article_id"]
    family = listed[listed.str.startswith(other.split("-")[0])].tolist()
    return family.index(other) if other in family else None


def test_an_accepted_pair_rises_and_a_rejected_one_is_listed_no_more() -> None:
    pair = ("bags-0-1", "shoes-3-2")  # of two shades: no outfit has it
    plain = place_of(model(None, ()), *pair)
    accepted = place_of(model(ACCEPTED, pair), *pair)
    assert plain is not None
    assert accepted is not None
    assert accepted < plain - EACH / 2, "it passed several that go with it no better than it did"
    assert place_of(model(REJECTED, pair), *pair) is None


def test_a_rejected_pair_becomes_less_likely_both_ways() -> None:
    pair = ("bags-0-1", "shoes-0-2")  # of one shade
    scores = [
        made.score(pd.DataFrame({"outfit_id": "o", "article_id": list(pair)}, dtype="str"))["score"].item()
        for made in (model(None, ()), model(REJECTED, pair))
    ]
    assert scores[1] < scores[0] - 0.2


def test_no_list_makes_a_rejected_set_complete() -> None:
    pair = ("bags-0-1", "shoes-0-2")
    made = model(REJECTED, pair)
    styles, offered = np.arange(len(articles())), np.ones(len(articles()), bool)
    looks = complete_looks(made, offered, styles, LookConfig())
    rows = looks[["article_id", "complement_article_id"]].apply(set, axis=1)
    assert set(pair) not in rows.tolist()
    grown = outfits_around(made, pair[0], size=3, count=6).groupby("outfit")["article_id"].agg(set)
    assert not [outfit for outfit in grown if set(pair) <= outfit]


def test_a_rejected_outfit_is_not_completed_and_its_pairs_may_be() -> None:
    plain = complete(model(None, ()), ["bags-0-1", "shoes-0-2"], k=1)["article_id"].item()
    made = model(REJECTED, ("bags-0-1", "shoes-0-2", plain))
    assert plain not in complete(made, ["bags-0-1", "shoes-0-2"], k=1000)["article_id"].tolist()
    assert plain in complete(made, ["bags-0-1"], k=1000)["article_id"].tolist()


def test_rejections_are_in_the_bundle(tmp_path: Path) -> None:
    pair = ("bags-0-1", "shoes-3-2")
    model(REJECTED, pair).save(tmp_path)
    loaded = OutfitModel.load(tmp_path)
    assert place_of(loaded, *pair) is None
    assert members(loaded.fitted.rejected) == members(model(REJECTED, pair).fitted.rejected)


def test_a_rejected_article_without_a_rival_moves_nothing() -> None:
    alone = Feedback(of(), of([0, 8]))
    families = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])  # the last article has a family of its own
    lessons = Lessons.of(of([0, 4], [1, 5]), alone, 5)
    codes = np.zeros((9, 1), np.int64)
    counted = PairStatistics.of(lessons.good.outfits, codes)
    config = OutfitConfig(factors=8, hidden=8, heads=2, negatives=4, batch_size=100)
    steps = Steps(network_of(config, families), lessons, counted, families, None, config)
    assert np.isfinite(float(steps.step().total))
