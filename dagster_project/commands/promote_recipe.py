"""``atelier promote MODEL`` and ``--undo``: which recommender serves, and by which recipe.

What belongs here: finding the recipe that is asked for, what is refused, and what is printed. What does not: the record
(:mod:`resources.promotions`), judging recipes (:mod:`assets.recipe_gate`), the command's other models
(:mod:`dagster_project.commands.promote`).
"""

import getpass
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from assets.completeness import AFTERWARDS
from atelier.errors import AtelierError
from atelier.recommenders import DAILY, MODELS
from dagster_project.terminal import clean
from resources.champions import shown_lists
from resources.model_store import ModelStore
from resources.promotions import Promotion, Promotions, serving_model
from resources.recipes import Recipe, recipe_of_bundle
from resources.retailer import Home

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore

RECIPE_GATES = "recipe_gates"


def gate_command(model: str) -> str:
    """The command that judges a model's recipe."""
    config = json.dumps({"ops": {"judge_recipe": {"config": {"model": model}}}})
    return f"dg launch --job recipe_gate --partition DAY --config-json '{config}'"


class NotPromoted(AtelierError):
    """A recipe that may not be promoted; the message says why, and nothing was written."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        model: the recommender.
        day: from which day on it is to serve; None: the newest that it has a bundle of.
        recipe: the digest of a recipe that was judged; None: that of the day's bundle.
        anyway: whether it need not have passed the gate.
        who: asks.
        why: the reason; None: what the gate said.
    """

    model: str
    day: date | None
    recipe: str | None
    anyway: bool
    who: str
    why: str | None


#: The option that says who promotes.
who_option = click.option("--by", metavar="NAME", help="Who does it; default: the user of this machine.")


def promoter(by: str | None) -> str:
    """Who promotes: the name that is given, else the user's.

    Raises:
        AtelierError: the machine has no name for the user.
    """
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise AtelierError(f"this user has no name ({error}): say who promotes with --by NAME") from error


def recommender_command(name: str) -> click.Command:
    """The command that lets a recommender serve."""

    @click.command(name, help=f"Let {name} serve every customer: {MODELS[name].summary}")
    @click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="From which day on; default: its newest.")
    @click.option("--recipe", metavar="DIGEST", help="A recipe that the job recipe_gate judged; default: the day's.")
    @click.option("--why", metavar="TEXT", help="The reason, which is recorded; default: what the gate said.")
    @click.option("--anyway", is_flag=True, help="Also if the gate did not pass it; needs --why.")
    @who_option
    def command(day: datetime | None, recipe: str | None, why: str | None, anyway: bool, by: str | None) -> None:
        request = Request(name, day.date() if day else None, recipe, anyway, promoter(by), why)
        click.echo("\n".join(clean(line) for line in promote_recommender(Home.initialised(), request)))

    return command


def promote_recommender(home: Home, asked: Request) -> list[str]:
    """Let a recommender serve from a day on, by a recipe; returns lines for the user.

    Raises:
        NotPromoted: the daily job does not fit it, its recipe was not judged or did not pass, or no reason is given.
        PartitionMissing: there is no bundle of it of that day.
        BundleError: its bundle is damaged.
        PromotionError: a record of promotions cannot be read.
    """
    if asked.anyway and not asked.why:
        raise NotPromoted("not promoted: --anyway leaves the gate out, so say why with --why TEXT")
    daily = home.settings.recommenders or tuple(DAILY)
    if asked.model not in daily:
        raise NotPromoted(
            f"not promoted: the daily job does not fit {asked.model}, so that it has no lists; add it to recommenders "
            f"in {home.toml} (now: {', '.join(daily)})"
        )
    store, models, name = home.open_store(), ModelStore(home.storage), f"{asked.model}_model"
    day = asked.day or models.last_day(name)
    bundle = models.bundle(name, models.pointer(name, day))  # a bundle that is damaged must not serve
    recipe, judged = recipe_of_bundle(bundle), newest_verdict(store, asked.recipe or recipe_of_bundle(bundle).digest)
    if asked.recipe is not None and asked.recipe != recipe.digest:
        recipe = _judged_recipe(store, asked, judged)
    promotions, before = Promotions(home.storage), serving_model(home, day)
    shown = (shown_lists(store, day), promotions.serving(day))
    serves_already = recipe.digest in [each.recipe for each in shown if each is not None]
    if not (asked.anyway or serves_already):
        _check_verdict(asked.model, recipe, judged, before)
        _check_champion(asked.model, judged, promotions, day)
        _check_day(asked.model, recipe, judged, day)
    why = asked.why or (str(judged["reason"]) if judged else "it serves already")
    judged_on = None if judged is None else judged["judged_on"]
    record, new = promotions.promote(recipe, day, who=asked.who, why=why, judged_on=judged_on)
    return list(_told(home, record, new, before, same_config=recipe.digest == recipe_of_bundle(bundle).digest))


def newest_verdict(store: "FeatureStore", recipe: str) -> dict[str, Any] | None:
    """The newest row of ``recipe_gates`` about a recipe, with its day as ``judged_on``; None: it was never judged."""
    found = [pointer.ds for pointer in store.pointers(RECIPE_GATES) if pointer.part == recipe]
    if not found:
        return None
    row: dict[str, Any] = store.read(RECIPE_GATES, max(found), part=recipe).to_pylist()[0]
    return row | {"judged_on": max(found)}


def _judged_recipe(store: "FeatureStore", asked: Request, judged: dict[str, Any] | None) -> Recipe:
    if judged is None or judged["model"] != asked.model:
        known = [newest_verdict(store, part) for part in sorted({p.part or "" for p in store.pointers(RECIPE_GATES)})]
        digests = [row["recipe"] for row in known if row and row["model"] == asked.model]
        there = f"there are {', '.join(digests)}" if digests else f"none was: {gate_command(asked.model)}"
        raise NotPromoted(f"not promoted: no recipe {asked.recipe!r} of {asked.model} was judged; {there}")
    return Recipe(judged["model"], json.loads(judged["config"]), judged["code_version"])


def _check_verdict(model: str, recipe: Recipe, judged: dict[str, Any] | None, serving: str) -> None:
    """Refuse a recipe that did not pass the gate against the model that serves.

    Raises:
        NotPromoted: the message says what to do.
    """
    what, or_else = f"the recipe {recipe.digest} of {model}", "--anyway --why TEXT promotes it all the same"
    if judged is None:
        raise NotPromoted(f"not promoted: {what} was never judged; judge it with `{gate_command(model)}`; {or_else}")
    if not judged["passed"]:
        raise NotPromoted(f"not promoted: {what} did not pass the gate: {judged['reason']}; {or_else}")
    if judged["champion"] != serving:
        raise NotPromoted(
            f"not promoted: {what} was judged against {judged['champion']}, and {serving} serves now; judge it again "
            f"with `{gate_command(model)}`; {or_else}"
        )


def _check_champion(model: str, judged: dict[str, Any] | None, promotions: Promotions, day: date) -> None:
    """Refuse a verdict against another recipe of the champion than the one that serves on the day.

    Where none was promoted the champion has its own settings, perhaps with code of before: then only a recipe that was
    promoted and taken back is another one.

    Raises:
        NotPromoted: the message says what to do.
    """
    if judged is None:
        return
    promoted, against = promotions.serving(day), judged["champion_recipe"]
    if promoted is not None:
        other = against != promoted.recipe
    else:
        other = against in {each.recipe for each in promotions.history()}
    if other:
        now = promoted.recipe if promoted else "its own settings"
        raise NotPromoted(
            f"not promoted: the recipe {judged['recipe']} of {model} was judged against the recipe {against} of "
            f"{judged['champion']}, which serves by {now} now; judge it again with `{gate_command(model)}`; "
            "--anyway --why TEXT promotes it all the same"
        )


def _check_day(model: str, recipe: Recipe, judged: dict[str, Any] | None, day: date) -> None:
    """Refuse a day that has not seen the purchases by which the recipe was judged.

    Raises:
        NotPromoted: the message names the first day that has.
    """
    if judged is not None and day < judged["judged_on"]:
        raise NotPromoted(
            f"not promoted: the recipe {recipe.digest} of {model} was judged by purchases up to {judged['judged_on']}, "
            f"which nobody knew on {day}: promote it with --day {judged['judged_on']}; --anyway --why TEXT promotes it "
            "all the same"
        )


def _told(home: Home, record: Promotion, new: bool, before: str, *, same_config: bool) -> Iterator[str]:
    now = "serves from" if new else "serves already from"
    yield f"{record.model} {now} {record.day} on, by the recipe {record.recipe} (promotion {record.number})"
    yield f"recorded: {record.who}, because {record.why}"
    if new and home.open_store().pointer("recommendations", record.day, record.model) is not None:
        lists = ",".join(f"recommendations/{name}" for name in dict.fromkeys([before, record.model]))
        again = f'--assets "{lists},{",".join(AFTERWARDS)}"' if same_config else "--job daily_retrain"
        yield (
            f"commands rank with it now; the stored lists of {record.day} follow with: "
            f"dg launch {again} --partition {record.day}"
        )
    yield "back: atelier promote --undo"


def undo_promotion(home: Home, who: str, why: str | None) -> list[str]:
    """Take the newest promotion back that is in force; returns lines for the user.

    Raises:
        PromotionError: a record of promotions cannot be read.
    """
    promotions = Promotions(home.storage)
    gone = promotions.undo(who=who, why=why or "taken back")
    if gone is None:
        return [f"nothing to take back: {home.settings.serving_model} serves, as {home.toml} says"]
    now = promotions.serving(gone.day)
    by = f"promotion {now.number}, of {now.who}" if now else f"{home.toml}"
    return [
        f"taken back: promotion {gone.number} of {gone.model}, by {gone.who}",
        f"{serving_model(home, gone.day)} serves from {gone.day} on again, by {by}",
        f"commands rank with it now; stored lists follow with: dg launch --job daily_retrain --partition {gone.day}",
    ]


def told_history(home: Home) -> list[str]:
    """Every promotion and every one taken back, and what serves now; lines for the user.

    Raises:
        PromotionError: a record of promotions cannot be read.
    """
    lines = []
    for each in Promotions(home.storage).history():
        what = f"takes {each.undoes} back" if each.action == "undo" else f"{each.model} by {each.recipe}"
        lines.append(f"{each.number:4d}  {each.written_at[:19]}  from {each.day}  {what}  {each.who}: {each.why}")
    return [*lines, f"{serving_model(home, date.max)} serves"]
