"""Where lists meet the shop: search, ranking of a category and beside a bag, a photograph from outside, an article."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.images import Encoder
from atelier.images.similarity import ExactImages, ImageIndex
from atelier.interactions import Interactions
from dagster_project import cli
from resources.encoders import EncoderGone, encoder_of
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY

DAY = date(2025, 3, 4)
COLOURS = {"a": "red", "b": "red", "c": "blue", "d": "blue", "e": "green", "f": "green"}
TYPES = dict(zip("abcdef", ["Dress", "Dress", "Dress", "Coat", "Coat", "Coat"], strict=True))
#: Whoever bought a bought b, whoever bought d bought e; f was never bought; c is popular.
BOUGHT = {"u": "ab", "v": "ab", "w": "de", "x": "de", "y": "c", "z": "c", "z2": "c", "t": "a"}
Run = Callable[..., Result]


def picture(path: Path, colour: str) -> Path:
    Image.new("RGB", (64, 80), colour).save(path)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a day of six articles: attributes, purchases, two models and the index of photographs."""
    home = Home(tmp_path_factory.mktemp("shop") / "home")
    home.root.mkdir()
    write_settings(home, Settings(source="sample", path="retailer", first_day=DAY, last_day=DAY))
    store, models = home.open_store(), ModelStore(home.store)
    articles = pd.DataFrame({"article_id": list(COLOURS), "in_stock": True, "price": 10.0})
    articles = articles.assign(product_type=articles["article_id"].map(TYPES), name="Garment", available_from=DAY)
    store.write("articles", DAY, articles.reindex(columns=list(REGISTRY["articles"].by_name)))
    values = pd.DataFrame({"article_id": list(COLOURS), "attribute": "colour", "value": list(COLOURS.values())})
    sources = ["annotated", "predicted"] * 3
    values = values.assign(source=sources, confidence=0.75, text_digest="0" * 64, image_digests=[[]] * 6)
    store.write("predicted_attributes", DAY, values.reindex(columns=list(REGISTRY["predicted_attributes"].by_name)))
    rows = [(customer, article) for customer, bag in BOUGHT.items() for article in bag]
    events = pd.DataFrame(rows, columns=["customer_id", "article_id"])
    events = events.assign(ordinal=range(len(events)), occurred_at=pd.Timestamp(DAY), kind="purchase", price=10.0)
    store.write("interactions", DAY, events.reindex(columns=list(REGISTRY["interactions"].by_name)))
    catalogue = Catalogue.from_frames(articles)
    for name, settings in (("als", {"factors": 4}), ("popular", {})):
        model = recommenders.build(name, **settings).fit(Interactions.from_frame(events), catalogue=catalogue)
        models.publish(f"{name}_model", DAY, model.save, upstreams={}, seed=0)
    folder = tmp_path_factory.mktemp("photographs")
    encoder = Encoder.build("small", None, device="cpu", precision="float32")
    encoded = encoder.encode([picture(folder / f"{each}.png", colour) for each, colour in COLOURS.items()])
    exact = ExactImages.build(articles.assign(embeddings=list(encoded.vectors[:, None])))
    index = ImageIndex.build(exact, encoder.encoder_id)
    bundle = models.publish("image_index", DAY, index.save, upstreams={}, seed=0)
    near = exact.similar(k=1).assign(model="image", model_id=bundle.model_id)
    store.write("similar_articles", DAY, near, part="image")
    return home


@pytest.fixture
def run(shop: Home, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ATELIER_HOME", str(shop.root))
    return lambda *arguments: CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Home:
    """A home of its own with one article, which is out of stock, and no model; commands run there."""
    home = Home(tmp_path / "empty")
    home.root.mkdir()
    write_settings(home, Settings(source="sample", path="retailer", first_day=date(2025, 3, 1), last_day=DAY))
    articles = pd.DataFrame({"article_id": ["a"], "in_stock": False, "product_type": "Coat", "name": "Coat"})
    columns = list(REGISTRY["articles"].by_name)
    home.open_store().write("articles", DAY, articles.assign(available_from=DAY).reindex(columns=columns))
    monkeypatch.setenv("ATELIER_HOME", str(home.root))
    return home


def listed(result: Result) -> list[str]:
    """The articles of the lines that begin with a rank."""
    assert result.exit_code == 0, result.exception or result.output
    lines = (line.split() for line in result.output.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0].isdigit() and words[1] in COLOURS]


def refusal(result: Result) -> str:
    assert result.exit_code != 0, result.output
    return result.output + str(result.exception)


class TestPhotograph:
    """A photograph that is not in the catalogue."""

    def test_what_looks_like_it_comes_first(self, run: Run, tmp_path: Path) -> None:
        file = picture(tmp_path / "blue.png", "#0808f4")
        assert set(listed(run("similar", "--image", file, "-k", 2))) == {"c", "d"}
        assert listed(run("similar", "--image", file, "--type", "Coat", "-k", 1)) == ["d"]
        nothing = run("similar", "--image", file, "--price", 500, 600)
        assert "none: no article in stock" in nothing.output

    def test_files_that_are_no_photographs_get_a_clear_error(self, run: Run, tmp_path: Path) -> None:
        whole = picture(tmp_path / "whole.png", "red").read_bytes()
        bad = {"text": b"not an image", "cut": whole[: len(whole) // 2], "empty": b""}
        for name, content in bad.items():
            (tmp_path / name).write_bytes(content)
        assert "not an image in one of the formats" in refusal(run("similar", "--image", tmp_path / "text"))
        assert "truncated or damaged" in refusal(run("similar", "--image", tmp_path / "cut"))
        assert "the file is empty" in refusal(run("similar", "--image", tmp_path / "empty"))
        assert "no such file" in refusal(run("similar", "--image", tmp_path / "absent.jpg"))
        assert "not a regular file" in refusal(run("similar", "--image", tmp_path))

    def test_bombs_and_huge_files_are_refused_unread(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = picture(tmp_path / "red.png", "red")
        monkeypatch.setattr("atelier.images.decode.MAX_PIXELS", 100)
        assert "more than the 100 allowed" in refusal(run("similar", "--image", file))
        monkeypatch.setattr("atelier.images.decode.MAX_BYTES", 10)
        assert "bytes, more than the 10 allowed" in refusal(run("similar", "--image", file))

    def test_either_an_article_or_a_photograph(self, run: Run, tmp_path: Path) -> None:
        assert "one of the two" in refusal(run("similar"))
        assert "one of the two" in refusal(run("similar", "a", "--image", tmp_path / "x"))
        assert "add --image" in refusal(run("similar", "a", "--type", "Coat"))
        unknown = refusal(run("similar", "--image", picture(tmp_path / "x.png", "red"), "--type", "Hat"))
        assert "no article has the product type 'Hat'; there are 'Coat', 'Dress'" in unknown

    @pytest.mark.parametrize("price", [(100, 1), ("nan", 5), (5, "nan")])
    def test_prices_that_are_no_range_are_refused(
        self, run: Run, shop: Home, tmp_path: Path, price: tuple[float, float]
    ) -> None:
        file = picture(tmp_path / "x.png", "red")
        assert "is no range: two numbers, the lower price first" in refusal(
            run("similar", "--image", file, "--price", *price)
        )
        models = ModelStore(shop.store)
        index = ImageIndex.load(models.bundle("image_index", models.pointer("image_index", DAY)).path)
        with pytest.raises(ValueError, match="the lower one first"):
            index.like(np.ones((1, len(index.centre)), np.float32), price=(float(price[0]), float(price[1])))
        assert len(listed(run("similar", "--image", file, "--price", 10, "inf", "-k", 1))) == 1

    def test_more_neighbours_than_stored_come_from_the_index(self, run: Run) -> None:
        assert listed(run("similar", "a", "--model", "image", "-k", 1)) == ["b"]
        assert len(listed(run("similar", "a", "--model", "image", "-k", 4))) == 4

    def test_an_encoder_that_is_gone_is_named(self, shop: Home) -> None:
        with pytest.raises(EncoderGone, match="resnet50-000000000000"):
            encoder_of(shop, ModelStore(shop.store), "resnet50-000000000000")


class TestFind:
    """Search by words and values."""

    def test_hits_say_what_matched_and_whether_it_was_predicted(self, run: Run) -> None:
        done = run("find", "a blue dress", "--category", "dress")
        assert listed(done) == ["c", "a", "b"]
        assert "blue: colour blue, annotated" in done.output
        assert "b: " not in done.output
        predicted = run("find", "coat", "--color=blue")
        assert listed(predicted) == ["d"]
        assert "blue: colour blue, predicted 0.75" in predicted.output

    def test_the_index_is_made_once_for_each_choice(self, run: Run, shop: Home) -> None:
        first = run("find", "coat")
        made = set((shop.root / "search").glob("*/search.json"))
        assert run("find", "coat").output == first.output
        assert run("find", "a blue dress", "--all").exit_code == 0
        after = set((shop.root / "search").glob("*/search.json"))
        assert made <= after
        assert len(after) == len(made) + 1

    def test_a_damaged_index_is_made_again_and_said(self, run: Run, shop: Home) -> None:
        first = run("find", "coat")
        for file in (shop.root / "search").glob("*/search.json"):
            file.unlink()
        again = run("find", "coat")
        assert again.exit_code == 0, again.exception
        assert "a search makes the kept index again" in again.stderr
        assert "search.json is missing or broken" in again.stderr
        assert again.stdout == first.stdout
        assert run("find", "coat").stderr == ""

    def test_nothing_in_stock_is_no_fault(self, run: Run, empty: Home) -> None:
        for _ in range(2):  # makes the index, reads it
            done = run("find", "coat")
            assert done.exit_code == 0, done.exception
            assert "0 articles as of 2025-03-04" in done.output
        assert "1 articles as of" in run("find", "coat", "--all").output

    def test_hits_are_ranked_for_a_customer(self, run: Run) -> None:
        done = run("find", "dress", "--customer", "t")
        assert "ranked for t by als" in done.output
        assert listed(done)[0] == "b", "whoever bought a bought b"
        assert listed(done)[-1] == "a", "it was purchased"
        assert "there is no customer 'nobody'" in refusal(run("find", "dress", "--customer", "nobody"))

    def test_what_cannot_be_read_is_said(self, run: Run) -> None:
        assert "between one pair of quotes" in refusal(run("find", "blue", "dress"))
        assert "--colour needs a value" in refusal(run("find", "dress", "--colour"))
        assert "no article has colour 'mauve'" in refusal(run("find", "dress", "--colour", "mauve"))
        assert "no article has the word purple" in run("find", "purple dress").output


@pytest.mark.parametrize(
    "asked",
    [("find", "coat", "--customer", "t"), ("recommend", "t", "--among", "x=y"), ("recommend", "t", "--bag", "a")],
)
class TestWithoutTrainedModel:
    """Nothing ranks where no model was trained: the error names the model and the job, not another day's table."""

    def test_of_any_day(self, run: Run, empty: Home, asked: tuple[str, ...]) -> None:
        said = refusal(run(*asked))
        assert "there is no model als_model yet" in said
        assert "make it with: dg launch --job daily_retrain --partition DAY" in said

    def test_of_the_day_that_is_asked_for(self, run: Run, asked: tuple[str, ...]) -> None:
        said = refusal(run(*asked, "--day", "2025-03-03"))
        assert "no model als_model of ds=2025-03-03 was ever trained" in said
        assert "make it with: dg launch --job daily_retrain --partition 2025-03-03" in said


def test_a_photograph_without_any_index(run: Run, empty: Home, tmp_path: Path) -> None:
    assert "there is no model image_index yet" in refusal(run("similar", "--image", picture(tmp_path / "x.png", "red")))


class TestRanking:
    """Ranking of a category, and beside a bag."""

    def test_a_category_is_ranked_by_the_served_model(self, run: Run) -> None:
        done = run("recommend", "t", "--among", "category=dress")
        assert done.output.startswith("als: t, among category=dress, 2025-03-04, purchased articles excluded")
        assert listed(done) == ["b", "c"]
        assert set(listed(run("recommend", "t", "--among", "type=dress", "--seen", "allowed"))) == {"a", "b", "c"}
        assert listed(run("recommend", "t", "--among", "type=coat", "--among", "colour=blue")) == ["d"]

    def test_the_bag_says_what_else_is_wanted(self, run: Run) -> None:
        assert listed(run("recommend", "y", "--bag", "d", "-k", 1)) == ["e"]
        several = run("recommend", "y", "--bag", "d", "a")
        assert "with d and a in the bag" in several.output
        assert not {"d", "a"} & set(listed(several))

    def test_a_bag_is_enough_of_an_unknown_customer(self, run: Run) -> None:
        assert listed(run("recommend", "somebody new", "--bag", "d", "-k", 1)) == ["e"]
        assert "there is no customer" in refusal(run("recommend", "somebody new", "--among", "type=coat"))

    def test_what_cannot_be_ranked_is_said(self, run: Run) -> None:
        assert "is not NAME=VALUE" in refusal(run("recommend", "t", "--among", "dress"))
        assert "there is no article 'q'" in refusal(run("recommend", "t", "--bag", "q"))
        assert "name what is in the bag by --bag" in refusal(run("recommend", "t", "a"))
        assert "leave --model and --page out" in refusal(run("recommend", "t", "--bag", "a", "--model", "als"))
        new = refusal(run("recommend", "t", "--among", "colour=green", "--among", "type=coat", "--bag", "e"))
        assert "none of these 2 articles can be ranked" in new


def test_an_index_answers_as_exact_search_does(shop: Home) -> None:
    models = ModelStore(shop.store)
    index = ImageIndex.load(models.bundle("image_index", models.pointer("image_index", DAY)).path)
    near = index.similar(k=2)
    assert np.isfinite(near["similarity"]).all()
    assert near.groupby("article_id").size().eq(2).all()
