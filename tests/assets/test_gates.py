"""The gates of a day on a tiny store: what is measured, and whose results are shown where something fails."""

import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from assets.gates import CHECK, write_gates
from assets.step import CheckResult, RunResources, Step
from atelier import recommenders
from dagster_project.commands.recommend import recommend
from resources.champions import FALLBACK, champions_of, served_bundles, shown_lists
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.promotions import Promotions
from resources.publishing import publish
from resources.recipes import recipe_of_bundle
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY

FIRST = date(2025, 3, 3)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
ARTICLES = [f"a{n}" for n in range(8)]
CUSTOMERS = ["c0", "c1", "c2", "c3"]
OWN = {"c0": ["a0", "a1"], "c1": ["a2", "a3"], "c2": ["a4", "a5"]}
POPULAR = {name: ["a0", "a1"] for name in CUSTOMERS}

Night = Callable[..., CheckResult]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    names = ("popular", "als")
    write_settings(home, Settings(source="parquet", path="x", first_day=FIRST, recommenders=names))
    return home


@pytest.fixture
def step_of(home: Home) -> Callable[[date], Step]:
    store, models = FeatureStore(home.store), ModelStore(home.store)
    return lambda ds: Step(RunResources(home, store, models, Compute("cpu", 1)), [ds], "run", "1")


def columns_of(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reindex(columns=list(REGISTRY[table].by_name))


def bundle(step: Step, name: str, weight: float = 1.0, **config: Any) -> None:
    """A bundle that nothing can load, which no gate does."""

    def save(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"config": config}))
        save_file({"weight": np.array([0.5, weight, step.ds.day], np.float32)}, folder / "weights.safetensors")

    step.save_model(name, save, tables=(), seed=0)


def lists(
    step: Step, model: str, chosen: dict[str, list[str]], *, served: bool, fallback: dict[str, list[str]]
) -> None:
    rows = [
        {"customer_id": customer, "article_id": article, "rank": rank, "seen": seen, "fallback": customer in fallback}
        for seen in ("allowed", "excluded")
        for customer, articles in {**chosen, **fallback}.items()
        for rank, article in enumerate(articles, 1)
    ]
    frame = pd.DataFrame(rows).assign(model=model, score=1.0, served=lambda rows: served & (rows["seen"] == "excluded"))
    ids = {False: step.bundle(f"{model}_model").model_id, True: step.bundle("popular_model").model_id}
    frame["model_id"] = frame["fallback"].map(ids)
    step.write("recommendations", columns_of("recommendations", frame), part=model)


@pytest.fixture
def night(step_of: Callable[[date], Step]) -> Night:
    """Everything that the gates of a day read; what is given differs from a night on which all is well."""

    def run(
        ds: date,
        own: dict[str, list[str]] | None = None,
        *,
        weight: float = 1.0,
        attributes: dict[str, float] | None = None,
        sold_out: tuple[str, ...] = (),
        dated: Sequence[str] = ARTICLES,
        serving: str = "als",
        lists_of_als: bool = True,
        newcomers: tuple[str, ...] = (),
        **config: Any,
    ) -> CheckResult:
        step = step_of(ds)
        stock: dict[str, Any] = {"in_stock": [name not in sold_out for name in ARTICLES], "price": 1.0}
        stock |= {"available_from": [FIRST if name in dated else None for name in ARTICLES]}
        articles = pd.DataFrame({"article_id": ARTICLES, "product_code": ARTICLES, **stock})
        step.write("articles", columns_of("articles", articles))
        known = [*CUSTOMERS, *newcomers]
        step.write("customers", columns_of("customers", pd.DataFrame({"customer_id": known})))
        bundle(step, "attribute_model", coverage=0.9)
        figures = {"samples": 300.0, "calibration_samples": 300.0, "coverage": 0.95}
        figures |= {"expected_calibration_error": 0.02, **(attributes or {})}
        metrics = pd.DataFrame({"attribute": "colour", "metric": list(figures), "value": list(figures.values())})
        step.write("attribute_metrics", columns_of("attribute_metrics", metrics.assign(model_id="m")))
        bundle(step, "popular_model")
        bundle(step, "als_model", weight, **config)
        lists(step, "popular", POPULAR, served=serving == "popular", fallback={})
        if lists_of_als:
            fallback = {name: ["a6", "a7"] for name in (CUSTOMERS[3], *newcomers)}
            lists(step, "als", OWN if own is None else own, served=serving == "als", fallback=fallback)
        write_gates(step)
        (check,) = [check for check in step.outcome.checks if check.name == CHECK]
        assert check.gate, "its failure is an ERROR"
        return check

    return run


def gate(home: Home, ds: date, model: str, name: str) -> dict[str, Any]:
    rows = FeatureStore(home.store).read("gates", ds).to_pylist()
    (found,) = [row for row in rows if (row["model"], row["gate"]) == (model, name)]
    return found


def shown(home: Home, ds: date) -> list[tuple[Any, ...]]:
    """What customers are shown on a day, from the published database."""
    publish(FeatureStore(home.store), home.database)
    with duckdb.connect(str(home.database), read_only=True) as con:
        shown = "SELECT customer_id, rank, article_id, model, made_on FROM served_recommendations"
        return con.execute(f"{shown} WHERE ds = $ds ORDER BY ALL", {"ds": ds}).fetchall()


def test_a_night_on_which_all_is_well_is_shown(home: Home, night: Night) -> None:
    check = night(DAYS[0])
    assert check.passed, check.description
    assert f"customers are shown the lists of als of {DAYS[0]}" in check.description
    found = champions_of(FeatureStore(home.store), DAYS[0])
    assert {key: each.action for key, each in found.items()} == {
        (name, False): "passed" for name in ("attribute_model", "popular", "als")
    } | {("als", True): "passed"}
    assert gate(home, DAYS[0], "als", "moved")["value"] is None, "there is no day before"
    assert gate(home, DAYS[0], "als", "coverage")["value"] == 6 / 8, "the fallback's lists are not its own"
    rows = FeatureStore(home.store).read("gates", DAYS[0]).to_pylist()
    assert {row["gate"] for row in rows if row["model"] == "popular"} == {"finite", "made", "on_sale", "moved"}
    assert len(shown(home, DAYS[0])) == 8


def test_how_far_lists_moved_is_the_mean_over_customers(home: Home, night: Night) -> None:
    night(DAYS[0])
    check = night(DAYS[1], {"c0": ["a1", "a0"], "c1": ["a2", "a4"], "c2": ["a6", "a7"]})
    assert check.passed
    found = gate(home, DAYS[1], "als", "moved")
    # the same two; one of three; none of four; and the fallback's list of c3, which is the same
    assert found["value"] == pytest.approx((0 + 2 / 3 + 1 + 0) / 4)
    assert found["threshold"] == 0.95
    night(DAYS[3])
    assert gate(home, DAYS[3], "als", "moved")["value"] is None, "the day before was not made"


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"weight": float("nan")}, "finite: 1 of 3 weights are not finite"),
        ({"sold_out": ("a5",)}, "on_sale: 2 of 16 places hold articles that are out of stock"),
        ({"sold_out": ("a5",), "dated": ()}, "on_sale: 2 of 16 places hold articles that are out of stock"),
        ({"sold_out": ("a5",), "dated": ARTICLES[:4]}, "on_sale: 2 of 16 places hold articles that are out of stock"),
        ({"own": {"c0": ["a0", "unknown"]}}, "on_sale: 2 of 8 places hold articles"),
        ({"own": {}}, "coverage: its lists hold 0 of 8 articles on sale"),
        ({"lists_of_als": False}, "made: its lists have 0 places"),
    ],
)
def test_a_model_that_fails_a_gate_is_not_shown_and_the_champion_stays(
    home: Home, night: Night, spoiled: dict[str, Any], said: str
) -> None:
    assert night(DAYS[0]).passed
    before = champions_of(FeatureStore(home.store), DAYS[0])
    check = night(DAYS[1], **spoiled)
    assert not check.passed
    assert said in check.description
    assert f"customers are shown the lists of als of {DAYS[0]}" in check.description
    after = champions_of(FeatureStore(home.store), DAYS[1])
    for serving in (False, True):
        assert after["als", serving].action == "kept"
        assert after["als", serving].model_id == before["als", serving].model_id
        assert after["als", serving].made_on == DAYS[0]
    places = shown(home, DAYS[1])
    assert {(model, made_on) for *_, model, made_on in places} == {("als", DAYS[0])}
    sold_out = spoiled.get("sold_out", ())
    expected = {(name, article) for name, each in {**OWN, "c3": ["a6", "a7"]}.items() for article in each}
    assert {(name, article) for name, _, article, *_ in places} == {e for e in expected if e[1] not in sold_out}
    assert night(DAYS[2]).passed, "the next good night is shown"
    assert champions_of(FeatureStore(home.store), DAYS[2])["als", True].made_on == DAYS[2]


def test_lists_that_no_gate_has_measured_are_not_shown(
    home: Home, night: Night, step_of: Callable[[date], Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that measures was killed, or somebody made the lists alone: the champion of before stays."""
    night(DAYS[0])
    with monkeypatch.context() as patched:
        patched.setattr("tests.assets.test_gates.write_gates", lambda step: step.gate(CHECK, True, "it was killed"))
        night(DAYS[1], {"c0": ["a1", "a0"]})
    assert {(model, made_on) for *_, model, made_on in shown(home, DAYS[1])} == {("als", DAYS[0])}
    found = shown_lists(FeatureStore(home.store), DAYS[1])
    assert found is not None
    assert (found.model, found.made_on) == ("als", DAYS[0])
    night(DAYS[1])
    assert {made_on for *_, made_on in shown(home, DAYS[1])} == {DAYS[1]}
    lists(step_of(DAYS[1]), "als", {"c0": ["a4"]}, served=True, fallback={})
    assert {made_on for *_, made_on in shown(home, DAYS[1])} == {DAYS[0]}, "written after the gates had decided"


def test_a_champion_whose_day_was_made_again_and_failed_is_shown_no_more(home: Home, night: Night) -> None:
    """The third day kept the lists of the second, which late data made anew and which fail now."""
    night(DAYS[0])
    night(DAYS[1])
    night(DAYS[2], weight=float("nan"))
    assert {made_on for *_, made_on in shown(home, DAYS[2])} == {DAYS[1]}
    night(DAYS[1], {"c0": ["a7", "a6"]}, weight=float("nan"))
    for day in DAYS[1:3]:
        assert {made_on for *_, made_on in shown(home, day)} == {DAYS[0]}
    models = {bundle.model_id for bundle in served_bundles(home, DAYS[2], "popular")}
    assert champions_of(FeatureStore(home.store), DAYS[0])["als", True].model_id in models


def test_recommend_does_not_call_a_refused_list_served(
    home: Home, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(home.root))
    night(DAYS[0])
    night(DAYS[1], weight=float("nan"), newcomers=("new",))

    def said(*arguments: str) -> list[str]:
        done = CliRunner().invoke(recommend, arguments)
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    assert said("c0", "--day", str(DAYS[0]))[0] == f"als (served): c0, {DAYS[0]}, purchased articles excluded"
    refused = said("c0")
    assert f"als: c0, {DAYS[1]}, purchased articles excluded" in refused
    assert refused[-1] == f"to see that of this customer: --model als --day {DAYS[0]}"
    assert said("new")[0].startswith("als (served, fallback): new"), "the champion has no list of them"


def test_a_champion_stays_over_several_bad_nights_and_newcomers_get_the_fallback(home: Home, night: Night) -> None:
    night(DAYS[0])
    for ds in DAYS[1:3]:
        assert not night(ds, weight=float("inf"), newcomers=("c9",)).passed
    assert champions_of(FeatureStore(home.store), DAYS[2])["als", True].made_on == DAYS[0]
    assert [place for place in shown(home, DAYS[2]) if place[0] == "c9"] == [
        ("c9", 1, "a6", "als", DAYS[2]),
        ("c9", 2, "a7", "als", DAYS[2]),
    ]


def test_without_an_earlier_champion_tonight_s_is_shown_and_is_never_kept_later(home: Home, night: Night) -> None:
    check = night(DAYS[0], weight=float("nan"))
    assert not check.passed
    assert champions_of(FeatureStore(home.store), DAYS[0])["als", True].action == "unproven"
    assert len(shown(home, DAYS[0])) == 8
    night(DAYS[1], weight=float("nan"))
    assert champions_of(FeatureStore(home.store), DAYS[1])["als", True].made_on == DAYS[1]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"expected_calibration_error": 0.4}, "calibration: the expected calibration error is 0.400"),
        ({"coverage": 0.6}, "prediction_sets: prediction sets of colour hold the true value less often"),
    ],
)
def test_a_badly_calibrated_attribute_network_keeps_the_earlier_one(
    home: Home, night: Night, step_of: Callable[[date], Step], attributes: dict[str, float], said: str
) -> None:
    from assets.attributes import MODEL, gates_of_attributes
    from assets.champions import chosen_bundle

    night(DAYS[0])
    check = night(DAYS[1], attributes=attributes)
    assert not check.passed
    assert said in check.description
    first, second = step_of(DAYS[0]), step_of(DAYS[1])
    assert chosen_bundle(second, MODEL, gates_of_attributes(second)).model_id == first.bundle(MODEL).model_id
    assert chosen_bundle(first, MODEL, gates_of_attributes(first)).model_id == first.bundle(MODEL).model_id
    few = {"expected_calibration_error": 0.4, "samples": 199.0}
    assert night(DAYS[2], attributes=few).passed, "of few labels it says nothing"


def test_thresholds_stand_in_atelier_toml(home: Home, night: Night) -> None:
    home.toml.write_text(home.toml.read_text() + "\n[gates]\ncoverage = 0.8\nmoved = 0.1\n")
    night(DAYS[0])
    assert not gate(home, DAYS[0], "als", "coverage")["passed"]
    assert night(DAYS[0], {"c0": ARTICLES[:4], "c1": ARTICLES[4:]}).passed
    check = night(DAYS[1], {"c0": ARTICLES[4:], "c1": ARTICLES[:4]})
    assert "moved: the first places of 3 lists moved by 66.7% since those of the champion" in check.description
    again = night(DAYS[2], {"c0": ARTICLES[4:], "c1": ARTICLES[:4]})
    assert not again.passed, "the lists that were refused are refused on the next night too"
    assert gate(home, DAYS[2], "als", "moved")["value"] == gate(home, DAYS[1], "als", "moved")["value"]
    home.toml.write_text(home.toml.read_text().replace("horizon = 7", "horizon = 1", 1))
    night(DAYS[2], {"c0": ARTICLES[4:], "c1": ARTICLES[:4]})
    assert gate(home, DAYS[2], "als", "moved")["value"] is None, "after the horizon the champion is too old for it"


def test_a_backfilled_day_has_the_champion_of_that_day(
    home: Home, night: Night, step_of: Callable[[date], Step]
) -> None:
    """Popular serves from the third day on; the second, run again later, is als's all the same."""
    night(DAYS[0])
    recipe = recipe_of_bundle(step_of(DAYS[0]).bundle("popular_model"))
    Promotions(home.store).promote(recipe, DAYS[2], who="ann", why="als wearied people")
    assert night(DAYS[2], serving="popular").passed
    served = champions_of(FeatureStore(home.store), DAYS[2])["popular", True]
    assert (served.promotion, served.who, served.why) == (1, "ann", "als wearied people")
    assert {place[3] for place in shown(home, DAYS[2])} == {"popular"}
    assert night(DAYS[1]).passed
    before = champions_of(FeatureStore(home.store), DAYS[1])
    assert [model for model, serving in before if serving] == ["als"]
    assert {place[3] for place in shown(home, DAYS[1])} == {"als"}
    night(DAYS[1], weight=float("nan"))
    kept = champions_of(FeatureStore(home.store), DAYS[1])["als", True]
    assert kept.made_on == DAYS[0], "never a later one"


def test_lists_that_were_made_before_a_promotion_are_named(home: Home, night: Night, step_of: Any) -> None:
    night(DAYS[0])
    recipe = recipe_of_bundle(step_of(DAYS[0]).bundle("popular_model"))
    Promotions(home.store).promote(recipe, DAYS[1], who="ann", why="-")
    check = night(DAYS[1], serving="als")
    assert not check.passed
    assert (
        "the lists of als are marked as served, and popular is to serve; run recommendations of both"
        in check.description
    )


def test_the_fallback_is_that_of_the_recommenders() -> None:
    assert recommenders.FALLBACK == FALLBACK
