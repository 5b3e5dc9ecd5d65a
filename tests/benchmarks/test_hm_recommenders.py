"""The comparison on H&M: nothing of the truth is in training, whatever the protocol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.interactions import Interactions
from atelier.recommenders.sequential.sequencer_config import SequencerConfig
from atelier.studies.recommender_study import run_study
from benchmarks import hm_recommenders as hm

SEQUENCES = pa.table(
    {
        "customer_id": ["c1", "c2", "c3", "c4", "c5", "c6"],
        "article_ids": [["a", "b", "c", "d"], ["a", "a", "b"], ["x", "x", "x"], ["b", "a", "b", "b"], [], ["a", "b"]],
        "purchases_in_last_week": [2, 0, 3, 1, 0, 0],
    }
)


def pairs(interactions: Interactions) -> list[tuple[str, str]]:
    frame = interactions.to_frame()
    return list(zip(frame["customer_id"].astype(str), frame["article_id"].astype(str), strict=True))


def many(customers: int = 40, seed: int = 0) -> pa.Table:
    """Sequences of 0 to 8 purchases of six articles."""
    rng = np.random.default_rng(seed)
    lists = [rng.choice(list("abcdef"), rng.integers(0, 9)).tolist() for _ in range(customers)]
    late = [int(rng.integers(0, len(each) + 1)) if rng.random() < 0.5 else 0 for each in lists]
    ids = [f"c{place:03d}" for place in range(customers)]
    return pa.table({"customer_id": ids, "article_ids": lists, "purchases_in_last_week": late})


@pytest.mark.parametrize(
    ("protocol", "validation", "train", "truth"),
    [
        ("two_days", False, [16, 17, 18, 19, 20], [21, 22]),
        ("one_day", False, [16, 17, 18, 19, 20, 21], [22]),
        ("two_days", True, [16, 17, 18, 19], [20]),
        ("one_day", True, [16, 17, 18, 19], [20]),
    ],
)
def test_the_week_is_split_by_day(protocol: str, validation: bool, train: list[int], truth: list[int]) -> None:
    days = range(16, 23)
    frame = pd.DataFrame(
        {
            "occurred_at": [pd.Timestamp(2020, 9, day, hour) for day in days for hour in (0, 23)],
            "customer_id": [f"c{day}" for day in days for _ in (0, 1)],
            "article_id": [f"a{day}" for day in days for _ in (0, 1)],
        }
    )
    split = hm.week_split(Interactions.from_frame(frame), protocol, validation=validation)
    assert pairs(split.train) == [(f"c{day}", f"a{day}") for day in train for _ in (0, 1)]
    assert pairs(split.truth) == [(f"c{day}", f"a{day}") for day in truth for _ in (0, 1)]
    assert split.sold_only


def test_the_last_week_of_a_sequence_is_its_end() -> None:
    train, truth = hm.last_week(SEQUENCES)
    assert pairs(train) == [
        ("c1", "a"),
        ("c1", "b"),
        ("c2", "a"),
        ("c2", "a"),
        ("c2", "b"),
        ("c4", "b"),
        ("c4", "a"),
        ("c4", "b"),
        ("c6", "a"),
        ("c6", "b"),
    ]
    assert pairs(truth) == [("c1", "c"), ("c1", "d"), *[("c3", "x")] * 3, ("c4", "b")]


def test_the_reference_drops_consecutive_repeats_and_the_short() -> None:
    purchases = hm.reference_purchases(SEQUENCES)
    assert pairs(purchases) == [
        ("c1", "a"),
        ("c1", "b"),
        ("c1", "c"),
        ("c1", "d"),
        ("c4", "b"),
        ("c4", "a"),
        ("c4", "b"),
    ]


@pytest.mark.parametrize("protocol", hm.SEQUENCES)
@pytest.mark.parametrize("validation", [False, True])
def test_nothing_held_out_is_trained_on(protocol: str, validation: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hm, "HELD_OUT_CUSTOMERS", 5)
    table = many()
    tested = hm.sequences_split(table, protocol)
    split = hm.sequences_split(table, protocol, validation=validation)
    whole = tested.train if validation else hm.reference_purchases(table)
    if protocol == "last_week" and not validation:
        whole = Interactions.from_frame(hm.purchases_of(table)[["customer_id", "article_id"]])
    assert len(split.train) + len(split.truth) == len(whole)
    for customer in set(whole.customer_ids.values.to_pylist()):
        everything, early, late = (
            [article for who, article in pairs(part) if who == customer] for part in (whole, split.train, split.truth)
        )
        assert everything == early + late, "what is right comes last, and in training is what came before it"
    if protocol == "reference" or validation:
        assert len(split.truth) == len(split.truth.customer_ids) == 5
        assert set(split.truth.customer_ids.values.to_pylist()) <= set(split.train.customer_ids.values.to_pylist())
    if validation:
        assert not set(split.truth.customer_ids.values.to_pylist()) & set(tested.truth.customer_ids.values.to_pylist())
    assert split.seen == (("allowed",) if protocol == "reference" else ("excluded", "allowed"))


def test_who_is_held_out_depends_on_the_seed_only() -> None:
    purchases = hm.reference_purchases(many(200))
    first, again, other = (hm.hold_out_last(purchases, 20, seed)[1] for seed in (0, 0, 1))
    assert pairs(first) == pairs(again) != pairs(other)
    train, truth = hm.hold_out_last(purchases, 10_000, 0)
    assert len(truth) == len(purchases.customer_ids)
    assert len(train) + len(truth) == len(purchases)


def test_some_customers_are_the_same_some_each_time(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(many(50), tmp_path / "sequences.parquet")
    whole, some = hm.read_sequences(tmp_path), hm.read_sequences(tmp_path, 7)
    ids = whole["customer_id"].to_pylist()
    assert len(some) == 7
    assert some.equals(hm.read_sequences(tmp_path, 7))
    assert some.to_pylist() == [whole.to_pylist()[ids.index(each)] for each in some["customer_id"].to_pylist()]
    assert hm.read_sequences(tmp_path, 50).equals(whole)


def test_sequencers_are_called_by_their_cells() -> None:
    given = ["--hm-sequences", "data", "--articles", "file", "--sequencer", '{"cell": "lstm", "factors": 32}']
    options = hm.arguments([*given, '{"published": "attention", "loss": "sampled_softmax"}'])
    known = hm.known_models(options, repeat=False)
    assert {"sequencer:lstm", "sequencer:attention"} <= set(known)
    changed = SequencerConfig.published("attention", loss="sampled_softmax")
    assert known["sequencer:attention"].build(3).config == changed.model_copy(update={"seed": 3})
    assert not known["sequencer:attention"].reads_content
    assert known["sequencer:lstm"].reads_content


def test_a_digest_tells_data_apart() -> None:
    one, other = (Interactions.from_frame(hm.purchases_of(many(seed=seed))) for seed in (0, 1))
    again = Interactions.from_frame(hm.purchases_of(many(seed=0)))
    assert hm.fingerprint(one) == hm.fingerprint(again) != hm.fingerprint(other)
    assert hm.fingerprint(one) != hm.fingerprint(one.rows(np.arange(len(one)) > 0))


ARTICLES = pd.DataFrame(
    {
        "article_id": list("abcdef"),
        "product_code": list("112233"),
        "prod_name": ["Strap top"] * 6,
        "detail_desc": ["soft cotton", "soft wool", None, "warm wool", "warm", "cotton"],
        "product_type_name": ["Top", "Top", "Sock", "Sock", "Sock", "Hat"],
        **{name: ["one", "other", "one", None, "other", "one"] for name in hm.ATTRIBUTES},
    }
)


def test_articles_have_vectors_of_texts_types_and_attributes() -> None:
    sold = hm.catalogue(ARTICLES)
    assert sold.vectors is not None
    assert sold.names is not None
    np.testing.assert_allclose(np.linalg.norm(sold.vectors, axis=1), 1, rtol=1e-5)
    assert {"product_type: Sock", "text: wool"} <= set(sold.names)
    assert sum(name.startswith("attributes: ") for name in sold.names) == 2 * len(hm.ATTRIBUTES)
    assert hm.vectors_digest(sold) == hm.vectors_digest(hm.catalogue(ARTICLES))
    assert hm.vectors_digest(sold) != hm.vectors_digest(hm.catalogue(ARTICLES[:5]))


def test_the_command_studies_tells_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(hm, "HELD_OUT_CUSTOMERS", 30)
    pq.write_table(many(120), tmp_path / "sequences.parquet")
    ARTICLES.to_csv(tmp_path / "articles.csv", index=False)
    given = [
        "--hm-sequences",
        str(tmp_path),
        "--articles",
        str(tmp_path / "articles.csv"),
        "--protocol",
        "reference",
        "--seeds",
        "1",
        "--factors",
        "4",
        "--models",
        "popularity",
        "als",
        "repeat",
        "--kept",
        str(tmp_path / "kept"),
        "--out",
        str(tmp_path / "out.json"),
        "--als",
        '{"iterations": 1}',
    ]
    options = hm.arguments(given)
    (split,), sold = hm.splits(options)
    plan = hm.plan_of(split, "allowed", options)
    assert list(plan.models) == ["popularity", "als", "repeat"]
    assert (plan.seeds, plan.ks, plan.exclude_seen) == ((0,), (10, 12, 14), False)
    results = hm.study(split, "allowed", sold, options)
    assert len(list((tmp_path / "kept").iterdir())) == 3
    told = hm.report(split, "allowed", results)
    hm.write(options.out, [told], options)
    hm.draw(tmp_path / "pictures", told)
    assert "popularity" in (tmp_path / "pictures" / "accuracy.svg").read_text()
    printed = capsys.readouterr().out
    assert "hit_rate@14" in printed
    written = options.out.read_text()
    assert '"protocol":"reference"' in written.replace(" ", "").replace("\n", "")
    assert not any(customer in written for customer in many(120)["customer_id"].to_pylist())
    # Everyone got six of six articles: whoever has one thing right has a hit, and precision is 1/10.
    table = hm.scores_of(results).set_index(["model", "segment", "metric", "k"])["value"]
    assert table[("popularity", "all", "hit_rate", 14)] == 1
    assert table[("popularity", "all", "precision", 10)] == pytest.approx(0.1)


def test_a_model_that_is_not_studied_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        hm.arguments(["--hm-week", "x", "--models", "als", "typo"])
    assert "typo: no model of the study; there are popularity, collaborative" in capsys.readouterr().err
    assert hm.arguments(["--hm-week", "x", "--models", "als", "repeat"]).models == ["als", "repeat"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], ["two_days", "one_day"]),
        (["--validation"], ["two_days"]),
        (["--validation", "--protocol", "one_day", "two_days"], ["one_day"]),
    ],
)
def test_the_week_is_validated_once(
    given: list[str], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = pd.DataFrame({"occurred_at": [pd.Timestamp(2020, 9, day) for day in range(16, 23)]})
    monkeypatch.setattr(
        hm, "read_week", lambda _: Interactions.from_frame(days.assign(customer_id="c", article_id="a"))
    )
    ARTICLES.to_parquet(tmp_path / "articles.parquet")
    asked, _ = hm.splits(hm.arguments(["--hm-week", str(tmp_path), *given]))
    assert [split.name for split in asked] == names


def test_a_protocol_of_other_data_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        hm.arguments(["--hm-week", "x", "--protocol", "reference"])
    assert "no protocol of these data" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        hm.arguments(["--hm-sequences", "x"])


@pytest.mark.real_data
def test_the_week_has_the_customers_that_are_known(real_data: Path) -> None:
    transactions = hm.read_week(real_data / "hm_week")
    assert len(transactions) == 240_311
    split = hm.week_split(transactions, "one_day")
    options = hm.arguments(["--hm-week", "x", "--seeds", "1", "--models", "popularity", "repeat"])
    popularity, repeat = run_study(
        split.train, split.truth, hm.plan_of(split, "allowed", options), candidates=split.train.article_ids.values
    )
    hits = {result.model: result.values("hit_rate", 12) for result in (popularity, repeat)}
    assert hits["repeat"] is not None
    assert hits["repeat"].mean() == pytest.approx(0.318, abs=0.01)  # as it is known of these data
