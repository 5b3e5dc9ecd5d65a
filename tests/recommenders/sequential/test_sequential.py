"""The sequence models: they read order, train on nothing that is held out, resume, explain."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.nn.training_loop import TrainingLoop
from atelier.recommenders.sequential import training
from atelier.recommenders.sequential.config import SequenceConfig
from atelier.recommenders.sequential.explanation import TRIED
from atelier.recommenders.sequential.model import SequenceRecommender, histories_of
from atelier.recommenders.sequential.sequencer_config import SequencerConfig
from atelier.recommenders.sequential.training import Examples, Pool
from atelier.recommenders.sequential.transformer import Transformer
from atelier.recommenders.training_data.negatives import SharedNegatives
from atelier.recommenders.training_data.sequences import Histories
from tests.devices import DEVICES
from tests.recommenders.sequential.circle import ARTICLES, circle

SMALL: dict[str, dict[str, Any]] = {
    "transformer": {"factors": 16, "heads": 2, "blocks": 1},
    "sequencer": {"factors": 16, "cell": "gru"},
    "sequencer attention": {"factors": 16, "cell": "attention", "output": "untied", "schedule": "one_cycle"},
    "sequencer transformer": {"factors": 16, "cell": "transformer", "heads": 2, "customer_factors": 4}
    | {
        "embedding_optimiser": "adam",
        "embedding_learning_rate": 0.01,
        "learning_rate": 0.002,
        "adds_similarity": False,
    },
}
LEARNS = {
    "mode": "collaborative",
    "history": 8,
    "schedule": "constant",
    "max_epochs": 30,
    "patience": 30,
    "dropout": 0.1,
    "learning_rate": 0.01,
    "batch_interactions": 512,
    "negatives": 29,
    "embedding_learning_rate": 0.1,
}


TRAIN, TRUTH = Interactions.from_frame(circle(300)).leave_last_out()


def fitted(name: str, device: str = "cpu", **config: Any) -> SequenceRecommender[Any]:
    model = recommenders.build(name.split()[0], device, **(LEARNS | SMALL[name] | config))
    assert isinstance(model, SequenceRecommender)
    return model.fit(TRAIN)


def hits(model: Any, train: Interactions, truth: Interactions) -> float:
    """The share of customers whose first recommendation is the next article."""
    recs = model.recommend(k=1, exclude_seen=False, histories=train)
    chosen = dict(zip(recs.customer_id, recs.article_id, strict=True))
    pairs = zip(truth.customer_ids.decode(truth.customers), truth.article_ids.decode(truth.articles), strict=True)
    return float(np.mean([chosen[customer] == article for customer, article in pairs]))


@pytest.fixture(scope="module", params=sorted(SMALL))
def model(request: pytest.FixtureRequest) -> SequenceRecommender[Any]:
    return fitted(request.param)


def test_it_reads_the_order(model: SequenceRecommender[Any]) -> None:
    """A model that sees a set of articles cannot tell which end of it is the last one."""
    assert hits(model, TRAIN, TRUTH) > 0.9
    frame = TRAIN.to_frame()
    backwards = Interactions.from_frame(frame[["customer_id", "article_id"]].iloc[::-1])
    assert hits(model, backwards, TRUTH) < 0.1


def test_customers_never_trained_on_are_ranked_for_by_their_history(model: SequenceRecommender[Any]) -> None:
    train, truth = Interactions.from_frame(circle(60, seed=7)).leave_last_out()
    assert not model.can_serve(train.customer_ids.values).any()
    assert hits(model, train, truth) > 0.9


@pytest.mark.parametrize("loss", ["full_softmax", "in_batch", "gbce", "bpr_max", "bpr", "wmrb"])
def test_every_loss_learns(loss: str) -> None:
    # Popularity gives a thirtieth; gbce, which starts from a half for every article, learns slowest.
    assert hits(fitted("transformer", loss=loss), TRAIN, TRUTH) > 0.2


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_every_cell_learns(cell: str) -> None:
    assert hits(fitted("sequencer", cell=cell), TRAIN, TRUTH) > 0.6


def test_vectors_do_not_depend_on_who_is_asked_for_together(model: SequenceRecommender[Any]) -> None:
    lists = [circle(1, seed=1, length=8), circle(1, seed=2, length=3), circle(1, seed=3, length=1)]
    together = model._profile(aligned(model, pd.concat(lists)))
    for place, frame in enumerate(lists):
        alone = model._profile(aligned(model, frame))
        np.testing.assert_allclose(
            model.customer_vectors(together, np.array([place])), model.customer_vectors(alone, np.array([0])), rtol=1e-4
        )
    all_at_once = model.customer_vectors(together, np.array([2, 0, 1]))
    one_by_one = [model.customer_vectors(together, np.array([place]))[0] for place in (2, 0, 1)]
    np.testing.assert_allclose(all_at_once, one_by_one, rtol=1e-4, atol=1e-6)


def aligned(model: SequenceRecommender[Any], frame: pd.DataFrame) -> Interactions:
    return Interactions.from_frame(frame).aligned(article_ids=model.article_ids)


def test_only_the_last_interactions_are_read(model: SequenceRecommender[Any]) -> None:
    long = circle(5, seed=4, length=20)
    short = long.groupby("customer_id").tail(LEARNS["history"])  # type: ignore[call-overload]
    profiles = [model._profile(aligned(model, frame)) for frame in (long, short)]
    for name in profiles[0]:
        np.testing.assert_array_equal(profiles[0][name], profiles[1][name])


def test_what_is_held_out_is_neither_an_input_nor_a_target() -> None:
    histories = Histories.of(TRAIN)
    examples = Examples.of(histories, SequenceConfig(history=4, validation_share=0.25))
    assert len(examples.judged.starts) == 75
    ends = examples.judged.starts + examples.judged.lengths
    assert set(ends.tolist()) <= set(histories.starts[1:].tolist())
    assert examples.judged.lengths.max() == 5  # four to read, one to predict
    lost = len(histories.articles) - len(examples.histories.articles)
    assert lost == 75
    owners = np.searchsorted(histories.starts, ends) - 1
    assert (np.diff(examples.histories.starts)[owners] == np.diff(histories.starts)[owners] - 1).all()


@pytest.mark.parametrize("name", ["transformer", "sequencer"])
def test_two_threads_give_the_same_weights_each_time(name: str) -> None:
    random, n = np.random.default_rng(0), 6_000
    owners, articles = random.integers(0, 300, n), random.zipf(1.3, n) % 120  # some articles are read very often
    train = Interactions.from_frame(
        pd.DataFrame({"customer_id": owners.astype(str), "article_id": articles.astype(str)})
    )
    config = LEARNS | SMALL[name] | {"max_epochs": 2, "batch_interactions": 4_096, "history": 50}
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        models = [recommenders.build(name, "cpu", **config).fit(train) for _ in range(2)]
    finally:
        torch.set_num_threads(threads)
    first, second = (model.weights for model in models if isinstance(model, SequenceRecommender))
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


def test_of_dated_histories_the_last_visit_is_held_out() -> None:
    """Its first interaction is to be predicted; nothing of the visit is trained on."""
    frame = circle(1_200, length=6)
    days = np.tile([0, 0, 0, 1, 1, 1], 1_200)
    frame["occurred_at"] = pd.Timestamp("2020-09-01") + pd.to_timedelta(days, unit="D")
    histories = Histories.of(Interactions.from_frame(frame))
    examples = Examples.of(histories, SequenceConfig(validation_share=0.25))
    _, articles, whose = examples.choices(5_000, 50)
    left = np.full(1_200, 6)
    left[whose] = 3
    assert len(whose) == 300
    assert np.diff(examples.histories.starts).tolist() == left.tolist()
    assert examples.judged.lengths.tolist() == [4] * 300
    assert articles.tolist() == histories.articles[histories.starts[whose] + 3].tolist()
    half = Examples.of(histories, SequenceConfig(validation_share=1.0))
    assert len(half.judged.starts) == 600, "from half of those who came twice the network learns what a visit brings"
    single = Examples.of(histories, SequenceConfig(validation_share=1.0, held_out="interaction"))
    assert np.diff(single.histories.starts).tolist() == [5] * 1_200
    assert SequencerConfig.published().held_out == "interaction"  # as in the thesis


def test_with_few_customers_who_came_twice_the_last_interaction_is_held_out() -> None:
    frame = circle(1_200, length=6)
    twice = frame["customer_id"].rank(method="dense") <= 100
    late = twice & (np.tile(np.arange(6), 1_200) >= 3)
    frame["occurred_at"] = pd.Timestamp("2020-09-01") + pd.to_timedelta(late.astype(int), unit="D")
    examples = Examples.of(Histories.of(Interactions.from_frame(frame)), SequenceConfig(validation_share=1.0))
    assert np.diff(examples.histories.starts).tolist() == [5] * 1_200


def test_figures_of_a_fit_are_those_of_the_epoch_that_is_kept() -> None:
    judged = fitted("transformer", max_epochs=3)
    best = max(judged.epochs, key=lambda epoch: epoch.validation["ndcg"])
    assert judged.training_figures()["validation_ndcg"] == best.validation["ndcg"]
    unjudged = fitted("transformer", max_epochs=3, validation_share=0.0)
    assert unjudged.training_figures()["loss"] == unjudged.epochs[-1].loss


def test_nobody_with_two_interactions_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="transformer has no examples: nobody has two interactions"):
        model = recommenders.build("transformer", **SMALL["transformer"], mode="collaborative").fit(
            pd.DataFrame({"customer_id": ["a", "b"], "article_id": ["x", "y"]})
        )
    assert not model.can_serve(["a", "b"]).any()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_killed_fit_goes_on_and_ends_with_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted(name, max_epochs=4).save(tmp_path / "undisturbed")
    model = recommenders.build(name.split()[0], **(LEARNS | SMALL[name] | {"max_epochs": 4}))
    model.training_state = tmp_path / "state"
    save = TrainingLoop._save

    def save_and_die(self: TrainingLoop[Any], path: Path) -> None:
        save(self, path)
        if len(self._history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingLoop, "_save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            model.fit(TRAIN)
    assert model.training_state.exists()
    model.fit(TRAIN).save(tmp_path / "resumed")
    assert not model.training_state.exists()
    for file in (tmp_path / "undisturbed").iterdir():
        assert (tmp_path / "resumed" / file.name).read_bytes() == file.read_bytes(), file.name


def test_reasons_are_how_much_the_score_falls_without_an_article(model: SequenceRecommender[Any]) -> None:
    recs = model.recommend(k=2, exclude_seen=False).iloc[:30]
    reasons = model.explain(recs, articles=99).to_pylist()
    frame = TRAIN.to_frame()[["customer_id", "article_id"]]
    for (customer, article, score), found in zip(
        recs[["customer_id", "article_id", "score"]].to_numpy(), reasons, strict=True
    ):
        history = frame[frame.customer_id == customer]
        places = model._places(model.customer_profiles, [customer])
        profiles = model.customer_profiles.profiles
        own = {"customer": profiles["customer"][places]} if "customer" in profiles else {}
        expected = {}
        for tried in set(history.article_id.tail(TRIED)):
            without = model._profile(aligned(model, history[history.article_id != tried]))
            vector = model.customer_vectors(without | own, np.array([0]))[0]
            y = model.article_vectors(model.article_ids.encode([article]))[0]
            expected[tried] = score - float(vector @ y)
        positive = {name: weight for name, weight in expected.items() if weight > 1e-4}
        told = {reason["value"]: reason["weight"] for reason in found if reason["weight"] > 1e-4}
        assert told == pytest.approx(positive, rel=1e-2, abs=1e-3)
        assert {reason["kind"] for reason in found} <= {"article"}


def test_content_ranks_an_article_that_nobody_chose() -> None:
    """Vectors say where on the circle an article is; the one in the middle of a gap was never sold."""
    train = Interactions.from_frame(circle(400, seed=3))
    frame = train.to_frame()
    frame = frame[frame.article_id != "a15"]
    angle = 2 * np.pi * np.arange(ARTICLES) / ARTICLES
    vectors = np.stack([np.cos(k * angle) for k in (1, 2, 3)] + [np.sin(k * angle) for k in (1, 2, 3)], 1)
    articles = pd.DataFrame({"article_id": [f"a{a:02d}" for a in range(ARTICLES)]})
    catalogue = Catalogue.from_frames(articles, vectors.astype(np.float32))
    model = recommenders.build("transformer", **(SMALL["transformer"] | LEARNS | {"mode": "content"}))
    model.fit(frame[["customer_id", "article_id"]], catalogue)
    history = pd.DataFrame({"customer_id": "new", "article_id": ["a12", "a13", "a14"]})
    recs = model.recommend(k=5, histories=history)
    assert "a15" in set(recs.article_id)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_what_a_device_learned_ranks_the_same_on_the_processor(name: str, device: str, tmp_path: Path) -> None:
    there = fitted(name, device)
    assert hits(there, TRAIN, TRUTH) > 0.9
    there.save(tmp_path)
    here = recommenders.load(tmp_path)
    expected, found = (each.recommend(k=3) for each in (there, here))
    pd.testing.assert_frame_equal(found[["customer_id", "article_id", "rank"]], expected.drop(columns="score"))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-3, atol=1e-4)
    assert torch.is_inference_mode_enabled() is False
    assert len(histories_of(there.customer_profiles.profiles).starts) == 301


def test_attention_is_a_share_of_every_interaction_that_is_read() -> None:
    model = fitted("transformer", max_epochs=2)
    assert isinstance(model, Transformer)
    histories = pd.concat([circle(5, seed=3), circle(4, seed=4, length=3), circle(1, seed=5, length=1)])
    asked = ["c50000", *histories.customer_id.unique()[:9]]
    found = model.attention(asked, histories)
    assert list(dict.fromkeys(found.customer_id)) == asked
    for customer, rows in found.groupby("customer_id"):
        own = histories[histories.customer_id == customer].article_id.tolist()[-8:]
        assert rows.article_id.tolist() == own
        assert rows.position.tolist() == list(range(len(own), 0, -1))
        np.testing.assert_allclose(rows.share.sum(), 1, rtol=1e-5)
        alone = model.attention([customer], histories[histories.customer_id == customer])
        np.testing.assert_allclose(rows.share, alone.share, rtol=1e-4, atol=1e-6)
    known = model.attention()
    assert set(known.customer_id) == set(model.recommend(k=1).customer_id)
    assert known.groupby("customer_id").share.sum().to_numpy() == pytest.approx(1, rel=1e-5)


def test_the_protocol_of_published_figures_trains_on_no_validation_interaction() -> None:
    histories = Histories.of(Interactions.from_frame(circle(12_000, length=4)))
    limited = Examples.of(histories, SequenceConfig(validation_share=1.0))
    assert len(limited.judged.starts) == 10_000
    everybody = Examples.of(histories, SequenceConfig(validation_share=1.0, validation_customers=10**9))
    assert len(everybody.judged.starts) == 12_000
    assert len(everybody.histories.articles) == 3 * 12_000


def test_what_is_held_out_is_no_negative_where_the_model_learns_nothing_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last article of each customer is chosen by nobody else: it can be ranked, and is drawn by nobody."""
    pools: list[Pool] = []
    pool_of = Pool.of

    def noted(*given: Any) -> Pool:
        pools.append(pool_of(*given))
        return pools[-1]

    monkeypatch.setattr(Pool, "of", noted)
    frame = circle(60, length=6)
    last = frame.groupby("customer_id").cumcount(ascending=False) == 0
    frame.loc[last, "article_id"] = "z" + frame["customer_id"]
    for counted in (True, False):
        config = {"validation_share": 1.0, "counts_held_out": counted, "max_epochs": 1}
        model = recommenders.build("transformer", **(LEARNS | SMALL["transformer"] | config))
        model.fit(Interactions.from_frame(frame))
        assert model.ranked.sum() == (ARTICLES + 60 if counted else ARTICLES)
    both, trained = pools
    assert len(both.negatives) == len(both.articles) == len(trained.articles) == ARTICLES + 60
    assert len(trained.negatives) == ARTICLES
    assert trained.counts.sum() == 5 * 60


@pytest.mark.parametrize(("loss", "popularity"), [("gbce", 0.0), ("sampled_softmax", 0.5)])
def test_gbce_draws_all_articles_equally_often(monkeypatch: pytest.MonkeyPatch, loss: str, popularity: float) -> None:
    drawn: list[float] = []

    class Negatives(SharedNegatives):
        def __init__(self, *given: Any) -> None:
            drawn.append(given[-1])
            super().__init__(*given)

    monkeypatch.setattr(training, "SharedNegatives", Negatives)
    recommenders.build("transformer", **(LEARNS | SMALL["transformer"] | {"loss": loss, "max_epochs": 1})).fit(TRAIN)
    assert drawn == [popularity]
