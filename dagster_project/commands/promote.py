"""``atelier promote``: a recommender serves, or a fine-tuned backbone encodes, from now on.

What belongs here: the group of commands, and the backbone's. What does not: training (:mod:`assets.image_backbone`),
the file of settings (:mod:`resources.settings_file`), recommenders (:mod:`dagster_project.commands.promote_recipe`).
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from atelier.errors import AtelierError
from atelier.recommenders import MODELS
from dagster_project.commands.promote_recipe import (
    promoter,
    recommender_command,
    told_history,
    undo_promotion,
    who_option,
)
from dagster_project.terminal import clean
from resources.retailer import Home
from resources.settings_file import promote_encoder

if TYPE_CHECKING:
    from resources.model_store import Bundle

BACKBONE = "image_backbone"


class NotBetter(AtelierError):
    """A backbone that reads the labels no better than the one it was made from."""


class Promotable(click.Group):
    """The commands of everything that can be promoted, by name."""

    def get_command(self, context: click.Context, name: str) -> click.Command:
        """The command of that name.

        Raises:
            UsageError: nothing of that name can be promoted; the message lists what can.
        """
        found = super().get_command(context, name)
        if found is None:
            raise click.UsageError(
                f"there is no model {clean(name)!r} to promote; there are {', '.join(self.list_commands(context))}"
            )
        return found


@click.group(cls=Promotable, invoke_without_command=True)
@click.option("--undo", is_flag=True, help="Take the newest promotion of a recommender back.")
@click.option("--why", metavar="TEXT", help="The reason for taking it back, which is recorded.")
@who_option
@click.pass_context
def promote(context: click.Context, undo: bool, why: str | None, by: str | None) -> None:
    """Let a recommender serve, or a backbone encode, from now on; nightly runs never do this by themselves.

    Without a model, what was promoted so far, by whom and why.
    """
    if context.invoked_subcommand is not None:
        if undo or why or by:
            raise click.UsageError("--undo, --why and --by without a model take a promotion back; put options last")
        return
    if not undo and (why or by):
        raise click.UsageError("--why and --by belong to --undo, or to a model: name one")
    home = Home.initialised()
    lines = undo_promotion(home, promoter(by), why) if undo else told_history(home)
    click.echo("\n".join(map(clean, lines)))


for _name in MODELS:
    promote.add_command(recommender_command(_name))


@promote.command(BACKBONE)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The one trained on that day; default: the newest.")
@click.option("--anyway", is_flag=True, help="Also if it is no better than the backbone that it was made from.")
@click.option("--undo", is_flag=True, help="Back to the backbone and the weights that `atelier init` wrote.")
def image_backbone(day: datetime | None, anyway: bool, undo: bool) -> None:
    """Encode photographs with the fine-tuned backbone from the next run on."""
    home = Home.from_environment()
    if undo and (day or anyway):
        raise click.UsageError("--undo takes neither --day nor --anyway")
    if undo:
        changed = promote_encoder(home, None)
        click.echo(f"{home.toml}: {'back to' if changed else 'already'} {home.settings.encoder.backbone}")
        return
    click.echo(promote_backbone(home, day.date() if day else None, anyway))


def promote_backbone(home: Home, day: date | None = None, anyway: bool = False) -> str:
    """Write a day's backbone, or the newest, into atelier.toml; returns a message for the user.

    Args:
        home: its settings are changed.
        day: the day that the backbone was trained on; None: the newest.
        anyway: promote it even if it is no better than the one that it was made from.

    Raises:
        NotBetter: its mean weighted F1 on the validation styles did not rise; nothing was written.
        PartitionMissing: none was trained on that day.
        AtelierError: none was ever trained.
        BundleError: it is damaged.
        SettingsError: atelier.toml is missing, or cannot be written.
    """
    from atelier.images import FineTuned
    from atelier.report.finetuning import finetuning_text

    bundle = _bundle(home, day)
    tuned = FineTuned.load(bundle.path)  # a backbone that cannot be built must not be promoted
    figures = finetuning_text(tuned.metrics)
    if not (tuned.gain > 0 or anyway):
        raise NotBetter(
            f"{figures}\n\nnot promoted: fine-tuning changed the mean weighted F1 on styles it had not seen by "
            f"{tuned.gain:+.3f}, and only a rise is worth encoding every photograph anew; --anyway promotes it all the "
            "same"
        )
    changed = promote_encoder(home, bundle.model_id)
    return (
        f"{figures}\n\npromoted: the mean weighted F1 on styles it had not seen changed by {tuned.gain:+.3f}.\n"
        f"{home.toml}: photographs are {'now' if changed else 'already'} encoded "
        f"with {tuned.backbone.name} {bundle.model_id}, fine-tuned on labels of {bundle.manifest.training_day}.\n"
        "Each is encoded once with it, by the next run of each day; other days keep their vectors until they run again."
    )


def _bundle(home: Home, day: date | None) -> "Bundle":
    from resources.model_store import ModelStore

    models = ModelStore(home.storage)
    days = [day] if day else models.days(BACKBONE)
    if not days:
        raise AtelierError(f"no {BACKBONE} was ever trained; make one with: dg launch --job {BACKBONE} --partition DAY")
    return models.bundle(BACKBONE, models.pointer(BACKBONE, max(days)))
