"""The role of each article: its own, its type's, or its type."""

import pandas as pd

from atelier.outfits.roles import roles_of

TYPES = {"s1": "Skirt", "s2": "Skirt", "s3": "Skirt", "t1": "Trousers", "h1": "Hat", "n1": None, "n2": None}
ARTICLES = pd.DataFrame({"article_id": list(TYPES), "product_type": list(TYPES.values())})


def found(*rows: tuple[str, str, str | None]) -> dict[str, str | None]:
    roles = roles_of(ARTICLES, pd.DataFrame(rows, columns=["outfit_id", "article_id", "role"]))
    return {name: None if pd.isna(role) else role for name, role in zip(TYPES, roles, strict=True)}


def test_an_article_has_its_own_role_else_that_of_its_type_else_its_type() -> None:
    rows: list[tuple[str, str, str | None]] = [
        ("1", "s1", "bottom"),
        ("2", "s1", "bottom"),
        ("3", "s1", "top"),
        ("8", "s2", "bottom"),
    ]
    rows += [("4", "t1", "bottom"), ("5", "n1", "bag"), ("6", "gone", "shoes"), ("6", "h1", None)]
    assert found(*rows) == {
        "s1": "bottom",
        "s2": "bottom",
        "s3": "bottom",
        "t1": "bottom",
        "h1": "Hat",
        "n1": "bag",
        "n2": None,
    }


def test_equally_frequent_roles_are_decided_by_the_alphabet() -> None:
    rows = [("1", "s1", "top"), ("2", "s1", "bottom"), ("3", "s2", "top")]
    roles = found(*rows, ("4", "t1", "outer"))
    assert (roles["s1"], roles["s2"], roles["s3"]) == ("bottom", "top", "bottom")


def test_roles_that_outfits_repeat_are_no_places() -> None:
    repeated = [("1", "s1", "accessory"), ("1", "h1", "accessory"), ("1", "t1", "main")]
    assert found(*repeated) == TYPES
    many = [(str(outfit), "t1", "main") for outfit in range(2, 12)]
    assert found(*repeated, *many)["h1"] == "accessory", "one outfit of eleven"


def test_without_outfits_or_roles_a_role_is_a_product_type() -> None:
    assert found() == TYPES
    assert found(("1", "s1", None), ("1", "t1", None)) == TYPES
