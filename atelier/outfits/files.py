"""Outfit files as researchers and retailers publish them: mango's layout and Polyvore's.

What belongs here: reading the files into frames, and what is wrong with a file. What does not: numbers of articles,
splits, models.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from atelier.csv_rows import CsvError, read_rows
from atelier.errors import SourceError

MANGO_PRODUCTS, MANGO_OUTFITS = "product_data.csv", "outfit_data.csv"
MANGO_KEY = "cod_modelo_color"
ATTRIBUTE = "des_"
"""How the names of mango's attributes begin."""
PHOTOGRAPH = "des_filename"


class MangoData(NamedTuple):
    """Products and outfits in mango's layout.

    Attributes:
        products: ``article_id``, ``path`` (the photograph's file name) and the attributes without ``des_``; in order
            of ``article_id``.
        outfits: ``outfit_id``, ``article_id``.
    """

    products: pd.DataFrame
    outfits: pd.DataFrame


def read_mango(folder: Path) -> MangoData:
    """Read ``product_data.csv`` and ``outfit_data.csv``.

    Args:
        folder: that holds both.

    Raises:
        SourceError: a file or column is missing, a key is empty, or a product stands in the file twice.
    """
    products = _csv(folder / MANGO_PRODUCTS, (MANGO_KEY, PHOTOGRAPH))
    outfits = _csv(folder / MANGO_OUTFITS, ("cod_outfit", MANGO_KEY))
    twice = products[MANGO_KEY].duplicated()
    if twice.any():
        raise SourceError(
            f"{folder / MANGO_PRODUCTS} holds {int(twice.sum())} products more than once, first "
            f"{products[MANGO_KEY][twice].iloc[0]!r}: keep one row each"
        )
    attributes = [name for name in products.columns if name.startswith(ATTRIBUTE) and name != PHOTOGRAPH]
    found = products[[MANGO_KEY, PHOTOGRAPH, *attributes]].rename(
        columns={name: name.removeprefix(ATTRIBUTE) for name in attributes}
        | {MANGO_KEY: "article_id", PHOTOGRAPH: "path"}
    )
    found["path"] = found["path"].str.replace(r"^.*/", "", regex=True)
    rows = outfits.rename(columns={"cod_outfit": "outfit_id", MANGO_KEY: "article_id"})
    return MangoData(
        found.sort_values("article_id", ignore_index=True), rows[["outfit_id", "article_id"]].reset_index(drop=True)
    )


def _csv(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """The columns as texts, null where a field is empty."""
    try:
        frame = read_rows(path)
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist: name the folder that holds it") from error
    except (CsvError, OSError) as error:
        raise SourceError(f"{error}: write {path.name} as comma-separated UTF-8") from error
    frame = frame.where(frame != "")
    for name in needed:
        if name not in frame.columns:
            raise SourceError(f"{path} has no column {name!r}; it has {', '.join(frame.columns)}")
        empty = frame[name].isna()
        if empty.any() and name != PHOTOGRAPH:
            first = frame.index[empty.to_numpy()][0]
            raise SourceError(f"{path}: {name} is empty in {int(empty.sum())} rows, first in line {first}")
    return frame


class BlankQuestion(NamedTuple):
    """A fill-in-the-blank question of the Polyvore layout.

    Attributes:
        question: the articles that are given.
        answers: the candidates, in the order of the file.
        truth: the place of the right one among the answers.
        blank_position: the place of the missing article in its outfit, from 1.
    """

    question: tuple[str, ...]
    answers: tuple[str, ...]
    truth: int
    blank_position: int


class LabelledOutfit(NamedTuple):
    """A line of a compatibility file: articles, and whether they are a real outfit."""

    compatible: bool
    articles: tuple[str, ...]


def read_polyvore_outfits(path: Path) -> pd.DataFrame:
    """Read a JSON list of outfits: ``[{"set_id": …, "items": [{"index": 1, "name": …, "categoryid": …}, …]}, …]``.

    An article of the layout is named by its outfit and place, ``<set_id>_<index>``, as the layout's questions do.

    Args:
        path: of the file.

    Returns:
        ``outfit_id``, ``article_id``, ``position`` (the index), ``name`` and ``category``; null where the file has
        none.

    Raises:
        SourceError: the file is missing, is no such JSON, or the same set or index stands in it twice.
    """
    rows = []
    for place, outfit in enumerate(_list(path)):
        set_id = _field(outfit, "set_id", path, f"outfit {place}")
        items = _field(outfit, "items", path, f"outfit {set_id}")
        if not isinstance(items, list):
            raise SourceError(f"{path}: the items of outfit {set_id} are no list: write them as a JSON list")
        for item in items:
            index = _field(item, "index", path, f"an item of outfit {set_id}")
            category = item.get("categoryid")
            rows.append(
                {
                    "outfit_id": str(set_id),
                    "article_id": f"{set_id}_{index}",
                    "position": _whole(index, path, f"the index of an item of outfit {set_id}"),
                    "name": item.get("name"),
                    "category": None if category is None else str(category),
                }
            )
    frame = pd.DataFrame(rows, columns=["outfit_id", "article_id", "position", "name", "category"])
    twice = frame["article_id"].duplicated()
    if twice.any():
        raise SourceError(f"{path} holds the item {frame['article_id'][twice].iloc[0]} twice: number items anew")
    return frame


def read_polyvore_questions(path: Path) -> list[BlankQuestion]:
    """Read a JSON list of questions: ``[{"question": […], "answers": […], "blank_position": 3}, …]``.

    The right answer is the one of the outfit that the question is of, ``<set_id>_…`` like the articles given.

    Args:
        path: of the file.

    Raises:
        SourceError: the file is missing, is no such JSON, or a question has not exactly one right answer.
    """
    return [_question(each, path, f"question {place}") for place, each in enumerate(_list(path))]


def _question(given: Any, path: Path, which: str) -> BlankQuestion:
    question, answers = (_texts(_field(given, name, path, which), path, which) for name in ("question", "answers"))
    position = _whole(_field(given, "blank_position", path, which), path, f"blank_position of {which}")
    sets = {name.rsplit("_", 1)[0] for name in question}
    right = [place for place, name in enumerate(answers) if name.rsplit("_", 1)[0] in sets]
    if len(sets) != 1 or len(right) != 1:
        raise SourceError(
            f"{path}: {which} is of {len(sets)} outfits and has {len(right)} answers of them; a question is of one "
            "outfit, and exactly one of its answers belongs to it"
        )
    return BlankQuestion(question, answers, right[0], position)


def read_polyvore_compatibility(path: Path) -> list[LabelledOutfit]:
    """Read lines of a label (1: a real outfit, 0: not) and the names of articles, separated by spaces.

    Args:
        path: of the file. Empty lines are skipped.

    Raises:
        SourceError: the file is missing or no text, a label is neither 0 nor 1, or a line has no articles.
    """
    found = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        label, *articles = line.split() or [""]
        if not label:
            continue
        if label not in ("0", "1") or not articles:
            raise SourceError(f"{path}, line {number}: {line[:60]!r} is not a label 0 or 1 and names of articles")
        found.append(LabelledOutfit(label == "1", tuple(articles)))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist: name the file that holds the outfits") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}): write it as UTF-8") from error


def _list(path: Path) -> Iterable[Any]:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON ({error}): write a JSON list") from error
    if not isinstance(found, list):
        raise SourceError(f"{path} holds a {type(found).__name__}, not a list: write a JSON list")
    return found


def _field(given: Any, name: str, path: Path, which: str) -> Any:
    if not isinstance(given, dict) or given.get(name) is None:
        raise SourceError(f"{path}: {which} has no {name!r}: add it, or leave the entry out")
    return given[name]


def _texts(values: Any, path: Path, which: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        raise SourceError(f"{path}: {which} wants a list of names of articles and has {str(values)[:60]!r}")
    return tuple(values)


def _whole(value: Any, path: Path, what: str) -> int:
    if isinstance(value, bool) or not str(value).isdecimal():
        raise SourceError(f"{path}: {what} is {str(value)[:30]!r}, not a whole number")
    return int(value)
