"""The outfit model of a day and the complements of its articles: what is learned from, promised, and a gap."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from assets.complements import BOUGHT, LOOK, ComplementConfig, broken_promises, complementary_articles, sold_articles
from assets.outfits import OutfitTraining, _report_held_out, outfit_model
from assets.stage import Stage
from assets.step import CheckResult, RunResources, Step
from atelier.answers import FEEDBACK
from atelier.articles.table import Articles
from atelier.errors import PartitionMissing
from atelier.outfits import OutfitModel
from atelier.outfits.evaluation import Interval
from atelier.outfits.feedback import Feedback
from atelier.outfits.held_out import HeldOut, Measured
from resources.compute import Compute
from resources.contracts import audit
from resources.feature_store import FeatureStore
from resources.model_store import Bundle, ModelStore
from resources.retailer import Home
from resources.storage import open_storage
from tests.assets.test_attributes import empty, filled

DAY = date(2026, 3, 1)
TYPES, COLOURS, EACH = ("Bag", "Dress", "Shoe"), ("blue", "red"), 6
QUICK = OutfitTraining(least=30, epochs=8, batch_size=64, feedback_weight=20)


def articles() -> pd.DataFrame:
    """Bags, dresses and shoes in two colours; scarves, which no outfit has; one article of which nothing is known."""
    rows = [
        (f"{kind}-{colour}-{number}".lower(), kind, f"{kind}-{number}", f"{colour} {kind.lower()}")
        for kind in (*TYPES, "Scarf")
        for colour in COLOURS
        for number in range(EACH)
    ]
    known = pd.DataFrame(rows, columns=["article_id", "product_type", "product_code", "name"])
    known["in_stock"] = ~known["article_id"].str.endswith("-0")
    return pd.concat([known, pd.DataFrame({"article_id": ["bare"], "in_stock": [True]})], ignore_index=True)


def attributes() -> pd.DataFrame:
    """The colour of every article; that of the article of which nothing is known was abstained from."""
    ids = articles()["article_id"]
    colour = ids.str.split("-").str[1]
    return pd.DataFrame({"article_id": ids, "attribute": "colour", "value": colour, "source": "annotated"})


def looks(count: int) -> pd.DataFrame:
    """Outfits of one article of each type, all of a colour, with one article that is not sold any more."""
    random = np.random.default_rng(0)
    rows = [
        (f"o{place:03}", f"{kind}-{COLOURS[place % 2]}-{random.integers(EACH)}".lower())
        for place in range(count)
        for kind in TYPES
    ]
    return pd.DataFrame([*rows, ("o000", "gone")], columns=["outfit_id", "article_id"])


def purchases(looks: pd.DataFrame, kind: str = "purchase") -> pd.DataFrame:
    """Each outfit bought by a customer of its own on one day."""
    places = looks["outfit_id"].str[1:].astype(int)
    return pd.DataFrame(
        {
            "customer_id": "c" + looks["outfit_id"],
            "article_id": looks["article_id"],
            "occurred_at": pd.Timestamp(DAY) + pd.to_timedelta(places % 24, unit="h"),
            "kind": kind,
            "ordinal": range(len(looks)),
        }
    )


class Run:
    """Both stages on a catalogue of their own; what they wrote and noticed."""

    def __init__(
        self,
        root: Path,
        outfits: pd.DataFrame,
        interactions: pd.DataFrame,
        answers: pd.DataFrame | None = None,
        home: Home | None = None,
    ) -> None:
        self.home = cast("Any", home or SimpleNamespace(storage=open_storage(root)))
        self.store = FeatureStore(root, threads=1, audit=audit)
        self.models = ModelStore(root)
        inputs = FeatureStore(root, threads=1)  # what comes in is not what is tested: no audit
        tables = {
            "articles": articles(),
            "predicted_attributes": attributes(),
            "outfits": outfits,
            "interactions": interactions,
        }
        for table, frame in tables.items():
            inputs.write(table, DAY, filled(table, frame))
        inputs.write(FEEDBACK, DAY, empty(FEEDBACK) if answers is None else filled(FEEDBACK, answers))
        for table in ("images", "image_embeddings"):
            inputs.write(table, DAY, empty(table))
        self.checks: dict[str, CheckResult] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.learn()

    def learn(self, config: OutfitTraining = QUICK) -> None:
        """Train the model of the day, and make its lists."""
        self.run(outfit_model, config)
        self.run(complementary_articles, ComplementConfig())
        self.table = self.store.read("complementary_articles", DAY).to_pandas()

    def step(self) -> Step:
        return Step(RunResources(self.home, self.store, self.models, Compute("cpu", 1)), [DAY], "run", "1")

    def run(self, stage: Stage, *config: Any) -> None:
        step = self.step()
        stage.compute(step, *config)
        self.metadata |= step.outcome.notes
        self.checks |= {check.name: check for check in step.outcome.checks}
        assert set(stage.checks) == {check.name for check in step.outcome.checks}

    def bundle(self) -> Bundle:
        return self.models.bundle("outfit_model", self.models.pointer("outfit_model", DAY))

    def list(self, name: str) -> pd.DataFrame:
        found: pd.DataFrame = self.table[self.table["list"] == name]
        return found


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("curated"), looks(200), purchases(looks(60)))


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("bought"), looks(5), purchases(looks(200)))


@pytest.fixture(scope="module")
def neither(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("neither"), looks(0).head(0), purchases(looks(200), kind="click"))


class TestCurated:
    """A day with outfits that people put together."""

    def test_model_learns_from_them_and_says_how_good_it_is(self, curated: Run) -> None:
        figures = curated.metadata["outfit_model"]
        assert (figures["learned_from"], figures["rows_of_other_articles"]) == ("outfits", 1)
        assert 100 < figures["outfits"] == figures["curated_outfits"] <= 200
        assert (figures["articles"], figures["articles_worn"]) == (len(articles()), 3 * 2 * EACH)
        assert 0 <= figures["fill_in_the_blank"] <= 1
        assert figures["best_control"] in {
            "frequency",
            "category co-occurrence",
            "attribute PMI",
            "co-occurrence",
            "lift",
            "joined",
        }
        assert figures["fill_in_the_blank_interval"].startswith(f"{figures['fill_in_the_blank']:.3f} [")
        assert curated.checks["outfits_to_learn_from"].passed
        gain = curated.checks["more_than_counting"]
        low = float(figures["gain_interval"].split("[")[1].split(",")[0])
        assert gain.passed == (low > 0)

    def test_bundle_loads_and_names_what_it_was_made_of(self, curated: Run) -> None:
        bundle = curated.bundle()
        assert {"outfits", "predicted_attributes", "articles"} <= bundle.manifest.upstreams.keys()
        assert "interactions" not in bundle.manifest.upstreams
        model = OutfitModel.load(bundle.path)
        assert model.config.attributes == ("product_type", "brand", "division", "attribute colour")
        assert len(model.fitted.articles) == len(articles())

    def test_every_article_has_a_look_of_its_colour_and_of_several_types(self, curated: Run) -> None:
        look = curated.list(LOOK)
        assert set(look["article_id"]) == set(articles()["article_id"])
        own, other = (look[name].str.split("-", expand=True) for name in ("article_id", "complement_article_id"))
        assert not pd.DataFrame({"article": look["article_id"], "type": other[0]}).duplicated().any()
        worn = ~own[0].isin(["scarf", "bare"])
        assert (own[1] == other[1])[worn].mean() > 0.9
        assert (look["model_id"] == curated.bundle().model_id).all()
        assert curated.checks["articles_have_complements"].passed

    def test_promises_are_kept(self, curated: Run) -> None:
        by_id = articles().set_index("article_id")
        own, other = (by_id.loc[curated.table[name]] for name in ("article_id", "complement_article_id"))
        assert other["in_stock"].all()
        assert (own["product_type"].to_numpy() != other["product_type"].to_numpy()).all()
        assert (own["product_code"].to_numpy() != other["product_code"].to_numpy()).all()
        assert curated.checks["complements_can_be_offered"].passed
        ranks = curated.table.groupby(["article_id", "list"])["rank"].apply(list)
        assert all(each == list(range(1, len(each) + 1)) for each in ranks)

    def test_reasons_are_sentences_that_say_what_is_known(self, curated: Run) -> None:
        look = curated.list(LOOK).set_index("article_id")["reason"]
        worn = look[~look.index.str.startswith(("scarf", "bare"))]
        assert worn.str.contains("in outfits together: |outfits combine ").all()
        assert worn.str.startswith("in outfits together: ").any()
        assert set(look.drop(worn.index)) == {
            "none of the outfits has an article of its type; chosen by photograph, text and attributes"
        }
        assert curated.list(BOUGHT)["reason"].str.fullmatch(r"\d+ of \d+ buyers bought it too, then or later").all()
        assert curated.list(BOUGHT)["model_id"].isna().all()

    def test_gaps_are_counted(self, curated: Run) -> None:
        figures = curated.metadata["complementary_articles"]
        with_bought = curated.list(BOUGHT)["article_id"].nunique()
        assert 0 < with_bought < len(articles())
        assert figures["without_people_also_bought"] == len(articles()) - with_bought
        assert figures["without_complete_the_look"] == figures["without_any"] == 0
        assert figures["of_a_type_in_no_outfit"] == 2 * EACH + 1

    def test_same_day_twice_gives_the_same_bytes(self, curated: Run, tmp_path: Path) -> None:
        again = Run(tmp_path, looks(200), purchases(looks(60)))
        assert again.bundle().model_id == curated.bundle().model_id
        versions = [run.store.data_version("complementary_articles", DAY) for run in (curated, again)]
        assert versions[0] == versions[1]


def test_baskets_stand_in_for_too_few_outfits_and_are_named_as_weaker_truth(bought: Run) -> None:
    figures = bought.metadata["outfit_model"]
    assert (figures["learned_from"], figures["curated_outfits"]) == ("baskets", 5)
    check = bought.checks["outfits_to_learn_from"]
    assert not check.passed
    assert "5 curated outfits" in str(check.description)
    assert "weaker truth" in str(check.description)
    upstreams = bought.bundle().manifest.upstreams
    assert "interactions" in upstreams
    assert "outfits" not in upstreams
    assert bought.metadata["complementary_articles"]["looks_learned_from"] == "baskets"
    reasons = bought.list(LOOK)["reason"]
    assert reasons.str.contains("baskets").all()
    assert bought.checks["complements_can_be_offered"].passed


def test_with_neither_nothing_is_trained_and_checks_say_so(neither: Run) -> None:
    with pytest.raises(PartitionMissing):
        neither.bundle()
    check = neither.checks["outfits_to_learn_from"]
    assert not check.passed
    assert "nothing was trained" in str(check.description)
    learned = neither.checks["more_than_counting"]
    assert not learned.passed
    assert "not measured: nothing was trained" in learned.description
    assert neither.table.empty
    figures = neither.metadata["complementary_articles"]
    assert figures["without_any"] == len(articles())
    assert "no outfit model" in figures["without_model"]
    covered = neither.checks["articles_have_complements"]
    assert not covered.passed
    assert f"0 of {len(articles())} articles" in str(covered.description)


def test_a_day_that_trains_nothing_any_more_ends_as_one_that_never_did(tmp_path: Path) -> None:
    clicks = purchases(looks(200), kind="click")
    again = Run(tmp_path, looks(40), clicks)
    trained = again.bundle()
    assert not again.list(LOOK).empty
    again.learn(QUICK.model_copy(update={"least": 1000}))
    with pytest.raises(PartitionMissing):
        again.bundle()
    assert again.table.empty
    assert "no outfit model" in again.metadata["complementary_articles"]["without_model"]
    assert again.metadata["outfit_model"]["earlier_model_withdrawn"]
    assert again.models.bundle("outfit_model", trained.model_id).path.is_dir(), "who recorded its id can still open it"


def test_the_same_inputs_train_nothing_and_report_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, fit = list[int](), OutfitModel.fit
    monkeypatch.setattr(OutfitModel, "fit", lambda self, *rest: trained.append(1) or fit(self, *rest))
    run = Run(tmp_path, looks(40), purchases(looks(60)))
    before, checks, first = run.metadata["outfit_model"], dict(run.checks), run.bundle()
    assert len(trained) == 2, "the model, and one that is measured"
    run.learn()
    assert len(trained) == 2
    assert run.bundle().model_id == first.model_id
    assert run.checks == checks
    assert run.metadata["outfit_model"] == before | {"reused": f"trained on {DAY} from the same inputs"}
    run.learn(QUICK.model_copy(update={"seed": 1}))
    assert len(trained) == 4
    assert run.bundle().model_id != first.model_id
    inputs = FeatureStore(tmp_path, threads=1)
    inputs.write("outfits", DAY, filled("outfits", looks(44)))
    run.learn()
    assert len(trained) == 6


def test_what_was_not_measured_is_kept_too() -> None:
    for each in (Measured(None, "too few"), Measured(FOUND)):
        assert Measured.from_json(each.to_json()) == each


FOUND = HeldOut(200, Interval(0.5, 0.4, 0.6), "lift", Interval(0.1 + 0.2, 0.3, 0.5), Interval(0.1, 0.0, 0.2))


@pytest.mark.parametrize(("low", "passed"), [(0.001, True), (0.0, False), (-0.05, False)])
def test_a_gain_counts_only_where_its_interval_lies_above_zero(low: float, passed: bool) -> None:
    found = FOUND._replace(gain=Interval(0.1, low, 0.2))
    step = Step(cast("Any", None), [DAY], "run", "1")
    _report_held_out(step, Measured(found))
    [check] = step.outcome.checks
    assert check.passed == passed
    assert ("not surely above 0" in check.description) == (not passed)


def test_broken_promises_are_counted(curated: Run) -> None:
    sold = sold_articles(curated.step())
    rows = [
        ("dress-red-1", "shoe-red-0"),  # out of stock
        ("dress-red-1", "dress-red-2"),  # the same type
        ("dress-red-1", "dress-blue-1"),  # the same type and style
        ("dress-red-1", "gone"),  # not sold at all
        ("bare", "shoe-red-1"),
    ]
    table = pd.DataFrame(rows, columns=["article_id", "complement_article_id"]).assign(list=BOUGHT)
    said = pd.DataFrame(
        {"outfit_id": "f", "article_id": ["dress-blue-1", "dress-red-1"], "answer": "rejected"}, dtype="str"
    )
    answered = Feedback.from_frame(said, Articles.from_frame(sold[["article_id"]]))
    assert list(broken_promises(table, sold, answered).values()) == [2, 2, 1, 0, 0, 1]
    look = table.assign(list=LOOK)
    assert list(broken_promises(look, sold, answered).values()) == [2, 2, 1, 2, 1, 1], "two dresses beside a dress"


def test_an_articles_role_is_read_from_outfits(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, threads=1)
    worn = looks(60)
    worn = worn[~(worn["outfit_id"].str[1:].astype(int) % 2).astype(bool) | ~worn["article_id"].str.startswith("bag")]
    worn = worn[(worn["outfit_id"].str[1:].astype(int) % 2).astype(bool) | ~worn["article_id"].str.startswith("shoe")]
    role = worn["article_id"].str.startswith("dress").map({True: "main", False: "extra"})
    for table, frame in {"articles": articles(), "outfits": worn.assign(role=role)}.items():
        store.write(table, DAY, filled(table, frame))
    step = Step(RunResources(cast("Any", None), store, ModelStore(tmp_path), Compute("cpu", 1)), [DAY], "run", "1")
    sold = sold_articles(step)
    by_kind = sold.groupby(sold["product_type"].fillna("none"))["role"].agg(set)
    assert by_kind["Bag"] == by_kind["Shoe"] != by_kind["Dress"]
    assert by_kind["none"] == {-1}
    assert by_kind["Scarf"].isdisjoint(by_kind["Bag"] | by_kind["Dress"])


def test_people_correct_the_lists(curated: Run, tmp_path: Path) -> None:
    look, also = (
        curated.list(name).groupby("article_id")["complement_article_id"].agg(list) for name in (LOOK, BOUGHT)
    )
    article = next(each for each in also.index if not each.startswith(("scarf", "bare")))
    pairs = [
        (article, look[article][0], "rejected"),
        (article, also[article][0], "rejected"),
        (article, "gone", "rejected"),
    ]
    risen = next(
        each
        for each in articles().query("in_stock")["article_id"]
        if each.split("-")[0] not in (article.split("-")[0], "scarf", "bare") and each not in look[article]
    )
    pairs.append((article, risen, "accepted"))
    rows = [(f"f{n}", each, answer) for n, (left, right, answer) in enumerate(pairs) for each in (left, right)]
    answers = pd.DataFrame(rows, columns=["outfit_id", "article_id", "answer"], dtype="str")
    again = Run(tmp_path, looks(200), purchases(looks(60)), answers)
    rejected = {pairs[0][1], pairs[1][1]}
    assert not rejected & set(again.table.loc[again.table["article_id"] == article, "complement_article_id"])
    back = again.table[again.table["article_id"].isin(rejected)]
    assert article not in back["complement_article_id"].tolist(), "a rejected pair is listed in neither direction"
    mine = again.list(LOOK).query("article_id == @article")["complement_article_id"].tolist()
    assert risen in mine
    assert again.checks["complements_can_be_offered"].passed
    reason = again.list(LOOK).query("article_id == @article and complement_article_id == @risen")["reason"].item()
    worn = looks(200).groupby("outfit_id")["article_id"].agg(frozenset).drop_duplicates()
    count = sum({article, risen} <= each for each in worn)
    assert reason == (f"in outfits together: {count}; accepted by people too" if count else "accepted by people")
    check = again.checks["answers_agree"]
    assert not check.passed
    assert "1 answers name fewer than two articles" in str(check.description)
    assert FEEDBACK in again.bundle().manifest.upstreams
    figures = again.metadata["outfit_model"]
    assert (figures["answers_accepted"], figures["answers_rejected"]) == (1, len(rejected))
