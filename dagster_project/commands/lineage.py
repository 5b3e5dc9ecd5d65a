"""``atelier lineage``: where one value of ``predicted_attributes`` comes from, as a tree.

What belongs here: the command, and the tree. What does not: tracing the value
(:mod:`resources.attribute_lineage`), the page (:mod:`atelier.report.lineage`).
"""

import shutil
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    from rich.tree import Tree

    from atelier.attributes.explanation import Explanation
    from atelier.attributes.lineage import AttributeLineage, DayValue, TrainedModel

WORDS = 8
DAYS = 10
PLAIN_WIDTH = 120  # used if the output is not a terminal


@click.command()
@click.argument("article")
@click.argument("attribute")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Of which day; default: the newest that has a value.")
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Write the page with the photographs here."
)
def lineage(article: str, attribute: str, day: datetime | None, page: Path | None) -> None:
    """Show where the value of ATTRIBUTE of ARTICLE comes from: inputs, model, explanation and run."""
    from resources.attribute_lineage import Tracer

    tracer = Tracer.of_home(Home.initialised())
    found = tracer.trace(article, attribute, day.date() if day else None)
    show(tree(found))
    if page is not None:
        from assets.lineage_pages import write_page
        from atelier.report.lineage import lineage_page

        write_page(lineage_page(found, tracer.image_root), page)
        click.echo(f"{page}")


def show(shown: "Tree") -> None:
    """Print a tree: as wide as the terminal and in colour, or plain if the output is not a terminal."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    Console(file=sys.stdout, width=max(40, width), highlight=False, emoji=False).print(shown)


def tree(found: "AttributeLineage") -> "Tree":
    """The lineage as a tree of plain text, without markup or control characters from the data."""
    from rich.text import Text
    from rich.tree import Tree

    named = f" · {found.name}" if found.name else ""
    stored = found.stored
    root = Tree(Text(clean(f"{found.attribute} of {found.article_id}{named}, {stored.ds}"), "bold"))
    for difference in found.differences:
        root.add(Text(clean(f"DOES NOT REPRODUCE: {difference}"), "bold red"))
    if found.gone_since:
        root.add(Text(f"the article is no longer in the catalogue of {found.gone_since}", "yellow"))
    value = _branch(root, f"value: {stored.value}", [found.origin, *_opinion(stored)])
    _branch(value, "what remains possible", [f"{share:.4f}  {name}" for name, share in found.alternatives])
    why = _branch(root, "why", [found.decision or found.unexplained or ""])
    if found.explanation is not None:
        without = f"the probability of {found.explanation.value} without, and the loss"
        _branch(why, without, _removals(found.explanation))
        _branch(why, f"words that weighed most ({_reading(found.explanation)})", _words(found.explanation))
        if found.reproduced:
            why.add(Text("the recorded model was run again and gave the stored value"))
    _read(root, found)
    _backbone(root, found)
    _model(root, found)
    _branch(root, "written by", _writing(found))
    _branch(root, "computed from", [", ".join(found.computed_from)])
    days = [_day(day) for day in found.earlier]
    _branch(root, "earlier days", days[:DAYS] + ([f"and {len(days) - DAYS} more"] if len(days) > DAYS else []))
    return root


def _branch(parent: "Tree", title: str, lines: Iterable[str]) -> "Tree":
    """Add a branch with a line for each text, and return it; without lines, add nothing and return the parent."""
    from rich.text import Text

    texts = [Text(clean(line), overflow="fold") for line in lines if line]
    if not texts:
        return parent
    branch = parent.add(Text(clean(title), "cyan", overflow="fold"))
    for text in texts:
        branch.add(text)
    return branch


def _opinion(stored: "DayValue") -> list[str]:
    if stored.prediction is None:
        return []
    return [f"the model's own value: {stored.prediction}, confidence {stored.confidence:.4f}"]


def _removals(found: "Explanation") -> list[str]:
    return [
        f"{_name(each.removed, each.present):26}{each.probability:.4f}  {each.weight:+.4f}"
        + ("" if each.value == found.value else f"   then {each.value} {each.confidence:.4f}")
        for each in found.removals
    ]


def _name(removed: str, present: bool) -> str:
    return removed.replace("_", " ") + ("" if present else " (has none)")


def _reading(found: "Explanation") -> str:
    return f"{len(found.words)} read" + (f", {found.unread} not" if found.unread else "")


def _words(found: "Explanation") -> list[str]:
    return [f"{each.weight:+.4f}  {each.word}" for each in found.weights[:WORDS]]


def _read(root: "Tree", found: "AttributeLineage") -> None:
    read = root.add("read", style="cyan")
    current = "as on the newest day" if found.text.current else "not the newest day's"
    state = current if found.text.same else "that day's text is another one now"
    _branch(read, f"text {found.text.digest}", [found.text.text or "none", state])
    for each in found.photographs:
        state = each.problem or ("as it was read" if each.current else "as it was read, not on the newest day")
        _branch(read, f"photograph {each.digest}", [f"{each.path or 'no file'}: {state}"])
    if not found.photographs:
        read.add("no photograph")


def _backbone(root: "Tree", found: "AttributeLineage") -> None:
    """The fine-tuned backbone that has read the photographs; nothing where their encoder was not fine-tuned here."""
    if found.backbone_id is not None:
        lines = ["the bundle is no longer on disk"] if found.backbone is None else _bundle(found.backbone)
        _branch(root, f"photographs were read by the backbone {found.backbone_id}", lines)


def _model(root: "Tree", found: "AttributeLineage") -> None:
    if found.stored.model_id is None:
        _branch(root, "model", ["none predicts this attribute"])
    elif found.model is None:
        _branch(root, f"model {found.stored.model_id}", ["the bundle is no longer on disk"])
    else:
        branch = _branch(root, f"model {found.stored.model_id}", _bundle(found.model))
        _branch(
            branch,
            "trained on",
            [
                f"{each.table} {each.data_version}" + ("" if each.current else " (written again since)")
                for each in found.model.upstreams
            ],
        )


def _bundle(model: "TrainedModel") -> list[str]:
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(model.libraries.items()))
    return [
        f"{model.name}, training day {model.training_day}, seed {model.seed}, code version {model.code_version}",
        libraries,
    ]


def _writing(found: "AttributeLineage") -> list[str]:
    written = found.written
    run = f"run {written.run_id} (Dagster: {written.dagster_path})" if written.run_id else "no Dagster run"
    return [f"{run}, {written.written_at:%Y-%m-%d %H:%M:%S} UTC", f"data version {written.data_version}"]


def _day(day: "DayValue") -> str:
    sure = "" if day.confidence is None else f" {day.confidence:.4f}"
    own = "" if day.prediction in (None, day.value) else f", the model's own {day.prediction}"
    return f"{day.ds}  {day.value}{sure} ({day.source}{own}) {day.model_id or ''}".rstrip()
