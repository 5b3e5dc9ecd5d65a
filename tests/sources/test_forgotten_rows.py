"""Rows of forgotten customers do not come in again, and are counted."""

import json
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import AtelierError
from atelier.sources.landed import REJECTED_SCHEMA, Landed
from atelier.sources.suppression import rejected_of_customers, without_forgotten

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(4)]
GONE = {"c1", "0007", "Zoë O'Hara"}


def is_gone(names: pa.Array) -> npt.NDArray[np.bool_]:
    return np.array([name in GONE for name in names.to_pylist()], dtype=bool)


def rejections(*records: str | None, kept: bool = False, reason: str = "is not a number") -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"source_table": "customers", "source_file": "c.csv", "row": row, "column_name": "age"}
            | {"reason": reason, "row_kept": kept, "record": record}
            for row, record in enumerate(records, 1)
        ],
        REJECTED_SCHEMA,
    )


def landed(customers: list[str], rejected: pa.Table | None = None) -> Landed:
    refused = REJECTED_SCHEMA.empty_table() if rejected is None else rejected
    accepted = pa.table({"customer_id": pa.array(customers, pa.string()), "age": pa.array([30] * len(customers))})
    return Landed(accepted, refused, len(customers) + refused.num_rows, ("a note",))


def cleaned(*landings: Landed) -> list[Landed]:
    given_days: Iterator[tuple[date, Landed]] = zip(DAYS, landings, strict=False)
    return [each for _, each in without_forgotten(given_days, is_gone)]


def test_rows_are_left_out_and_counted() -> None:
    refused = rejections(json.dumps({"customer_id": "c1"}), json.dumps({"customer_id": "c2"}))
    (found,) = cleaned(landed(["c0", "c1", "c2", "c1"], refused))
    assert found.accepted["customer_id"].to_pylist() == ["c0", "c2"]
    assert found.rejected["row"].to_pylist() == [2]
    assert (found.rows_in, found.rejected_rows, found.suppressed) == (6, 1, 3)
    assert found.notes == ("a note",)


def test_a_value_at_fault_of_a_row_that_is_left_out_is_not_counted_twice() -> None:
    dropped = rejections(json.dumps({"customer_id": "c1", "age": "old"}), kept=True)
    (found,) = cleaned(Landed(landed(["c1", "c2"]).accepted, dropped, 2))
    assert (found.rejected.num_rows, found.suppressed, found.values_dropped) == (0, 1, 0)


def test_days_that_are_one_object_stay_one() -> None:
    same, other = landed(["c0", "c1"]), landed(["c0"])
    found = cleaned(same, same, other, same)
    assert found[0] is found[1]
    assert found[2] is other  # nothing was left out
    assert found[3] is not found[2]
    assert found[3].accepted.equals(found[0].accepted)


def test_a_table_without_customers_stays_the_same_object() -> None:
    articles = Landed(pa.table({"article_id": ["c1"]}), rows_in=1)
    assert cleaned(articles) == [articles]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (json.dumps({"customer_id": "  c1 "}), True),
        (json.dumps({"customer_id": "Zoë O'Hara"}), True),
        (json.dumps({"line": "0007,2025-03-03,broken"}), True),
        (json.dumps({"line": '"c1";"x'}), True),
        ("no JSON (c1)", True),
        (json.dumps({"customer_id": "c11"}), False),
        (json.dumps({"customer_id": "7", "price": 7}), False),
        (None, False),
    ],
)
def test_who_is_named_by_a_row_that_was_rejected(record: str | None, named: bool) -> None:
    assert rejected_of_customers(rejections(record), is_gone).tolist() == [named]


def test_a_reason_may_name_a_customer_too() -> None:
    assert rejected_of_customers(rejections(None, reason="'c1' is unknown"), is_gone).tolist() == [True]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_record_can_be_read(texts: list[str]) -> None:
    marked = rejected_of_customers(rejections(*(json.dumps({"customer_id": each}) for each in texts), *texts), is_gone)
    assert len(marked) == 2 * len(texts)
    assert all(found for each, found in zip(texts, marked, strict=False) if each.strip(" ") in GONE)


def test_rows_that_do_not_add_up_are_a_fault() -> None:
    with pytest.raises(AtelierError, match="2 rows came in, but 1 are accepted, 0 rejected and 0 suppressed"):
        Landed(landed(["c0"]).accepted, rows_in=2)
