"""Promotions: which recommender serves from which day on, by which recipe, who said so and why.

What belongs here: the record of promotions and of those taken back, and what is in force on a day. What does not: the
judgement that a promotion rests on (:mod:`assets.recipe_gate`), what tonight's gates let through
(:mod:`assets.champions`), the command (:mod:`dagster_project.commands.promote_recipe`).

A record is an immutable file ``<store>/promotions/<number>.json``, put in place as a whole: whoever is killed while
promoting leaves the old state or the new one. Nothing is ever changed or removed; taking back is a record too.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from atelier.errors import AtelierError
from resources.schema import Column, Table
from resources.storage import Root, Storage, open_storage

if TYPE_CHECKING:
    from resources.recipes import Recipe
    from resources.retailer import Home, Settings

FOLDER = "promotions"
NAME = re.compile(r"(\d{6})\.json")

PROMOTIONS = Table(
    "promotions",
    "derived",
    "Every promotion and every one taken back: read from the records that `atelier promote` writes.",
    key=("number",),
    columns=(
        Column("number", "BIGINT", "Its place in the history, from 1.", low=1),
        Column("action", "VARCHAR", "What was done.", values=("promote", "undo")),
        Column("model", "VARCHAR", "The recommender; of an undo the one whose promotion is taken back."),
        Column("day", "DATE", "The day from which on it holds."),
        Column("recipe", "VARCHAR", "The digest of the promoted config and code."),
        Column("config", "VARCHAR", "The fields of the promoted config that are not defaults, as JSON."),
        Column("code_version", "VARCHAR", "The code of the promoted recipe."),
        Column("who", "VARCHAR", "Who did it."),
        Column("why", "VARCHAR", "Why."),
        Column("written_at", "TIMESTAMP WITH TIME ZONE", "When."),
        Column("undoes", "BIGINT", "Of an undo, the number of the promotion that it takes back.", nullable=True),
        Column(
            "judged_on",
            "DATE",
            "The newest day whose purchases the recipe was judged by; null where nobody judged it.",
            nullable=True,
        ),
    ),
)


class PromotionError(AtelierError):
    """A record of promotions cannot be read; the message names it and the remedy."""


@dataclass(frozen=True)
class Promotion:
    """One record; the attributes are the columns of :data:`PROMOTIONS`."""

    number: int
    action: Literal["promote", "undo"]
    model: str
    day: date
    recipe: str
    config: Mapping[str, Any]
    code_version: str
    who: str
    why: str
    written_at: str
    undoes: int | None = None
    judged_on: date | None = None


class Promotions:
    """The promotions of one store.

    Args:
        root: the store's.
    """

    def __init__(self, root: Root) -> None:
        self._storage = open_storage(root)

    def history(self) -> list[Promotion]:
        """Every record, in the order in which they were made.

        Raises:
            PromotionError: one cannot be read, or is missing between others.
        """
        names = [name.rpartition("/")[2] for name in self._storage.glob(f"{FOLDER}/*.json")]
        numbers = sorted(int(found[1]) for name in names if (found := NAME.fullmatch(name)))
        absent = sorted(set(range(1, len(numbers) + 1)) - set(numbers))
        if absent:
            where = self._storage.location(_file(absent[0]))
            raise PromotionError(f"{where} is gone, and later records rest on it; restore it from a backup")
        texts = self._storage.read_texts([_file(number) for number in numbers])
        return [_read(self._storage, texts.get(_file(number), ""), number) for number in numbers]

    def in_force(self) -> list[Promotion]:
        """The promotions that nobody took back, in the order in which they were made."""
        history = self.history()
        gone = {record.undoes for record in history if record.action == "undo"}
        return [record for record in history if record.action == "promote" and record.number not in gone]

    def serving(self, ds: date) -> Promotion | None:
        """The promotion by which a recommender serves on a day; None: none, so that the settings say which one does.

        It is the one with the newest day that is not later than ``ds``; of two for the same day the later made.
        """
        return _newest(self.in_force(), ds)

    def of_model(self, model: str, ds: date) -> Promotion | None:
        """The promotion whose recipe a recommender is fitted by on a day; None: by its defaults."""
        return _newest([record for record in self.in_force() if record.model == model], ds)

    def promote(
        self, recipe: "Recipe", day: date, *, who: str, why: str, judged_on: date | None = None
    ) -> tuple[Promotion, bool]:
        """Let a recommender serve by a recipe, from a day on.

        Args:
            recipe: by which it is fitted.
            day: the first day.
            who: promotes.
            why: the reason.
            judged_on: the newest day whose purchases the recipe was judged by.

        Returns:
            The promotion, and whether it is new: the same recipe that serves on that day by the same day's promotion
            is not promoted twice.

        Raises:
            PromotionError: a record cannot be read, or another machine wrote one at the same moment.
        """
        with self._storage.lock(FOLDER):
            known = self.serving(day)
            if known is not None and (known.recipe, known.day) == (recipe.digest, day):
                return known, False
            record = Promotion(
                len(self.history()) + 1,
                "promote",
                recipe.model,
                day,
                recipe.digest,
                dict(recipe.config),
                recipe.code_version,
                who,
                why,
                datetime.now(UTC).isoformat(),
                judged_on=judged_on,
            )
            self._write(record)
        return record, True

    def undo(self, *, who: str, why: str) -> Promotion | None:
        """Take the newest promotion back that is in force.

        Returns:
            The promotion that was taken back; None where none is in force, and nothing was written.
        """
        with self._storage.lock(FOLDER):
            standing = self.in_force()
            if not standing:
                return None
            last = standing[-1]
            again = asdict(last) | {"number": len(self.history()) + 1, "action": "undo", "undoes": last.number}
            self._write(Promotion(**again | {"who": who, "why": why, "written_at": datetime.now(UTC).isoformat()}))
        return last

    def _write(self, record: Promotion) -> None:
        days = {"day": record.day.isoformat(), "judged_on": record.judged_on and record.judged_on.isoformat()}
        text = json.dumps(asdict(record) | days, indent=1)
        if not self._storage.create_text(text + "\n", _file(record.number)):
            raise PromotionError("another machine recorded a promotion at the same moment; look at it, and try again")


def _file(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"


def serving_model(home: "Home", ds: date) -> str:
    """The recommender whose lists every customer is to get on a day: the promoted one, else that of the settings.

    Raises:
        PromotionError: a record of promotions cannot be read.
    """
    return served_by(Promotions(home.storage).in_force(), home.settings, ds)


def served_by(in_force: Sequence[Promotion], settings: "Settings", ds: date) -> str:
    """The same, where the promotions that are in force are known."""
    promoted = _newest(in_force, ds)
    return settings.serving_model if promoted is None else promoted.model


def rows(records: Sequence[Promotion]) -> list[dict[str, Any]]:
    """The rows of the table ``promotions``."""
    return [
        asdict(record)
        | {
            "config": json.dumps(dict(record.config), sort_keys=True),
            "written_at": datetime.fromisoformat(record.written_at),
        }
        for record in records
    ]


def _newest(records: Sequence[Promotion], ds: date) -> Promotion | None:
    known = [record for record in records if record.day <= ds]
    return max(known, key=lambda record: (record.day, record.number), default=None)


def _read(storage: Storage, text: str, number: int) -> Promotion:
    try:
        found = json.loads(text)
        judged_on = found.get("judged_on")  # records of before do not have it
        days = {"day": date.fromisoformat(found["day"]), "judged_on": judged_on and date.fromisoformat(judged_on)}
        record = Promotion(**found | days)
        datetime.fromisoformat(record.written_at)
        if record.number != number or record.action not in ("promote", "undo") or not isinstance(record.config, dict):
            raise ValueError(f"it says {record.action} {record.number}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PromotionError(
            f"{storage.location(_file(number))} is no record of a promotion ({error}); restore it from a backup, or "
            "where it is the newest one, delete it and promote again"
        ) from error
    return record
