"""Identifiers in texts: found as a whole, replaced, and nothing else is touched."""

import html
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.forgetting.mentions import INSTEAD, Mentions

IDENTIFIERS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=6, max_size=12)
DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("customer", "text", "expected"),
    [
        ("c00000123", "customer c00000123.", f"customer {INSTEAD}."),
        ("c00000123", "c000001234 and xc00000123", "c000001234 and xc00000123"),
        ("c00000123", "c00000123-2025-03-03", f"{INSTEAD}-2025-03-03"),
        ("90210417", '{"rows": 90210417, "who": "90210417"}', f'{{"rows": 90210417, "who": "{INSTEAD}"}}'),
        ("12", "12 rows of customer 12, and '12'", f"12 rows of customer {INSTEAD}, and '{INSTEAD}'"),
        ("12", "<td>12</td>", f"<td>{INSTEAD}</td>"),
        ("Zoë O'Hara", "Zoë O&#39;Hara", INSTEAD),
        ("Zoë O'Hara", '["Zo\\u00eb O\'Hara"]', f'["{INSTEAD}"]'),
        ("a/b c&d", "?who=a%2Fb%20c%26d", f"?who={INSTEAD}"),
    ],
)
def test_an_identifier_is_replaced_as_a_whole(customer: str, text: str, expected: str) -> None:
    assert Mentions([customer]).redacted(text) == expected
    assert Mentions([customer]).within(text) is (text != expected)


def test_json_keeps_its_layout() -> None:
    text = json.dumps({"a": ["c00000123"], "b": 1}, indent=1) + "\n"
    assert Mentions(["c00000123"]).redacted(text) == text.replace("c00000123", INSTEAD)


@given(IDENTIFIERS, DOCUMENTS)
def test_json_stays_json_and_all_else_of_it_stays(customer: str, other: Any) -> None:
    nested = json.dumps({"who": customer})
    text = json.dumps([customer, {"nested": nested}, other])
    found = json.loads(Mentions([customer]).redacted(text))
    assert found[0] == INSTEAD
    assert json.loads(found[1]["nested"]) == {"who": INSTEAD}
    if not Mentions([customer]).within(json.dumps(other)):
        assert found[2] == other


@given(IDENTIFIERS, st.text(max_size=20), st.text(max_size=20))
def test_nobody_is_named_any_more(customer: str, before: str, after: str) -> None:
    mentions = Mentions([customer])
    for spelled in (customer, html.escape(customer)):
        assert not mentions.within(mentions.redacted(f"{before} {spelled} {after}")) or INSTEAD in customer
    assert mentions.within(f"{before} {customer} {after}")
