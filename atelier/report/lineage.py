"""The page of one predicted value, and the section of the daily page that leads to a few of them.

What belongs here: showing an :class:`~atelier.attributes.lineage.AttributeLineage`, photographs included. What does
not: gathering it, choosing which values are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from atelier.attributes.lineage import AttributeLineage, PhotographRead, TrainedModel
from atelier.report.neighbours import inline_picture
from atelier.report.page import render_page
from atelier.report.parts import (
    Badge,
    Section,
    details,
    figure_text,
    heading,
    joined,
    missing,
    note,
    paragraph,
    plain,
    table,
)

if TYPE_CHECKING:
    from atelier.attributes.explanation import Explanation, Removal, WordWeight

COMMAND = "dg launch --job daily_retrain --partition <day>"
SIZE = (300, 400)  # pixels, the longest sides of a photograph on the page
WORDS = 10  # are shown; the others are folded away
NOTICED = 0.005  # the weight from which on a word is marked in the text
BAR = 9.0  # rem, of a weight of 1
SOURCES = {"annotated": "good", "predicted": "good", "abstained": "warn"}


@dataclass(frozen=True)
class LineageExample:
    """A value that the daily page shows as an example.

    Attributes:
        why: why this one, for example ``the least certain``.
        lineage: where it comes from.
        href: its page, relative to the daily page.
    """

    why: str
    lineage: AttributeLineage
    href: str


def lineage_section(examples: Sequence[LineageExample] | None, command: str = COMMAND) -> Section:
    """A few values of the day, each with what decided it and a link to its page.

    Args:
        examples: which; None or empty: nothing was predicted.
        command: what to run where there are none.
    """
    title, anchor = "Where values come from", "lineage"
    if not examples:
        return Section(title, anchor, missing("No attribute has been predicted for this day yet.", command))
    rows = [
        (
            Markup('<a href="{}">{}</a>').format(example.href, example.why),
            example.lineage.article_id,
            example.lineage.attribute,
            example.lineage.stored.value,
            _source(example.lineage),
            plain(example.lineage.stored.prediction),
            figure_text(example.lineage.stored.confidence, 3),
            example.lineage.decision or plain(example.lineage.unexplained),
        )
        for example in examples
    ]
    columns = ("Example", "Article", "Attribute", "Value", "Source", "The model's own", "Confidence", "Why")
    parts = [
        paragraph("Every value can be traced: what was read, by which model, what decided, which run wrote it."),
        table("A few values of the day; the first column leads to the page of each.", columns, rows, ["Confidence"]),
        Markup("<p>Of any other value: <code>atelier lineage ARTICLE ATTRIBUTE --page FILE</code>.</p>\n"),
    ]
    warned = [example for example in examples if example.lineage.differences]
    parts += [note(f"{each.why}: {_loud(each.lineage)}", "bad") for each in warned]
    return Section(title, anchor, joined(*parts))


def lineage_page(lineage: AttributeLineage, root: Path | None = None) -> str:
    """The page of one value as one HTML document: no script, no external resource.

    Args:
        lineage: where the value comes from.
        root: the source's folder of images, which must hold the photographs; None: none is shown.
    """
    sections = [
        Section("Value", "value", _value(lineage)),
        Section("What was read", "read", _read(lineage, root)),
        Section("Why", "why", _why(lineage)),
        Section("Model", "model", _model(lineage)),
        Section("Run", "run", _run(lineage)),
        Section("Earlier days", "earlier", _earlier(lineage)),
    ]
    named = f" · {lineage.name}" if lineage.name else ""
    return render_page(f"{lineage.attribute} of {lineage.article_id}{named}", lineage.stored.ds, sections)


def _source(lineage: AttributeLineage) -> Badge:
    source = lineage.stored.source
    return Badge(source, "warn" if lineage.contradicted else SOURCES.get(source, "warn"))


def _loud(lineage: AttributeLineage) -> str:
    return f"The recorded model does not reproduce what is stored: {'; '.join(lineage.differences)}."


def _facts(caption: str, *facts: tuple[str, object]) -> Markup:
    """A table of two columns, without the empty facts."""
    return table(caption, ("What", ""), [fact for fact in facts if fact[1] is not None])


def _code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(text)


# The value ---------------------------------------------------------------------------------------------------------


def _value(lineage: AttributeLineage) -> Markup:
    stored = lineage.stored
    parts = []
    if lineage.differences:
        parts.append(note(_loud(lineage), "bad"))
    if lineage.gone_since:
        parts.append(note(f"The article is no longer in the catalogue of {lineage.gone_since}."))
    parts.append(
        _facts(
            f"What predicted_attributes holds of it on {stored.ds}.",
            ("Value", Markup('<span class="best">{}</span>').format(stored.value)),
            ("Source", _source(lineage)),
            ("Which means", lineage.origin),
            ("The model's own value", stored.prediction),
            ("Confidence in it", None if stored.confidence is None else figure_text(stored.confidence)),
            ("Product type", lineage.product_type),
        )
    )
    if lineage.alternatives:
        rows = [(value, _bar(share), figure_text(share)) for value, share in lineage.alternatives]
        columns = ("Value", "", "Probability")
        parts.append(table("The values that remain possible, most probable first.", columns, rows, ["Probability"]))
    return joined(*parts)


def _bar(share: float) -> Markup:
    """A bar as long as the share; of what is negative in the colour of a warning."""
    colour = "--accent" if share >= 0 else "--line"
    style = "display:inline-block;height:.65rem;border-radius:.2rem;background:var({});width:{:.2f}rem"
    return Markup('<span style="{}"></span>').format(style.format(colour, BAR * min(1.0, abs(share))))


# Why ---------------------------------------------------------------------------------------------------------------


def _why(lineage: AttributeLineage) -> Markup:
    found = lineage.explanation
    if found is None:
        return note(lineage.unexplained or "", "none")
    reproduced = "The recorded model was run again on what it had read, and gave the stored value."
    return joined(
        paragraph(lineage.decision),
        paragraph(reproduced) if lineage.reproduced else note(_loud(lineage), "bad"),
        _removals(found),
        heading("Words"),
        _words(found),
    )


def _removals(found: "Explanation") -> Markup:
    columns = ("Without", "It says", "With", f"Probability of {found.value}", "Weight", "")
    return table(
        f"The article once more without one thing at a time. With everything, {found.value} has the probability"
        f" {figure_text(found.probability)}; the weight is what it loses. Metadata are product type, brand and division"
        " together.",
        columns,
        [_removal(removal) for removal in found.removals],
        columns[2:5],
    )


def _removal(removal: "Removal") -> tuple[object, ...]:
    name = removal.removed.replace("_", " ")
    return (
        name if removal.present else f"{name} (it has none)",
        removal.value,
        figure_text(removal.confidence),
        figure_text(removal.probability),
        signed(removal.weight),
        _bar(removal.weight),
    )


def signed(weight: float) -> str:
    """A weight with its sign."""
    shown = figure_text(weight)
    return shown if shown.startswith("−") else f"+{shown}"


def _words(found: "Explanation") -> Markup:
    if not found.words:
        return paragraph("The article has no text.")
    shown, folded = found.weights[:WORDS], found.weights[WORDS:]
    heavy = {each.word for each in shown if each.weight >= NOTICED}
    marked = Markup(" ").join(
        Markup('<span class="best" style="color:var(--accent)">{}</span>').format(word) if word in heavy else word
        for word in found.words
    )
    unread = f" A further {found.unread} words of the text are not read." if found.unread else ""
    parts = [
        Markup("<p>{}</p>\n").format(marked),
        _weights(
            f"The text once more without one word at a time (all its occurrences).{unread} Words that say the same"
            " cover for each other, so the weights do not sum to the probability.",
            shown,
        ),
    ]
    if folded:
        parts.append(details(f"{len(folded)} further words, down to those that spoke against it", _weights("", folded)))
    return joined(*parts)


def _weights(caption: str, words: "Sequence[WordWeight]") -> Markup:
    return table(
        caption,
        ("Word", "Times", "Probability without it", "Weight", ""),
        [
            (each.word, each.occurrences, figure_text(each.probability), signed(each.weight), _bar(each.weight))
            for each in words
        ],
        ("Times", "Probability without it", "Weight"),
    )


# What was read -----------------------------------------------------------------------------------------------------


def _read(lineage: AttributeLineage, root: Path | None) -> Markup:
    text = lineage.text
    cards = Markup("").join(_photograph(each, lineage, root) for each in lineage.photographs)
    parts = [
        heading("Photographs"),
        Markup('<ul class="neighbours">{}</ul>\n').format(cards) if cards else paragraph("It read no photograph."),
        heading("Text"),
        Markup("<p>{}</p>\n").format(text.text or "(none)") if text.text is not None else paragraph("Not kept."),
        _facts(
            "The text by its digest.",
            ("SHA-256", _code(text.digest)),
            ("The text above", "is what was read" if text.same else Badge("is another one", "bad")),
            ("On the newest day", "the text is the same" if text.current else Badge("the text is another one", "warn")),
        ),
        heading("Columns"),
        Markup("<p><code>predicted_attributes.value</code> is computed from {}.</p>\n").format(
            Markup(", ").join(_code(name) for name in lineage.computed_from)
        ),
    ]
    return joined(*parts)


def _photograph(photograph: PhotographRead, lineage: AttributeLineage, root: Path | None) -> Markup:
    picture = None if photograph.problem or root is None else inline_picture(photograph.path, root, SIZE)
    alternative = f"Photograph {plain(photograph.shot)} of article {lineage.article_id}"
    inside = (
        Markup('<img src="{}" alt="{}" style="object-fit:contain">').format(picture, alternative)
        if picture
        else Markup("<span>{}</span>").format(photograph.problem or "it cannot be shown")
    )
    below = Markup("<span>{}</span>").format(plain(photograph.path))
    below += Markup("<span class=soft>SHA-256 {}</span>").format(photograph.digest)
    if not photograph.current:
        below += Markup('<span class="badge warn">not on the newest day</span>')
    framed = Markup('<div class="photograph" style="height:17rem">{}</div>').format(inside)
    return Markup('<li style="width:14rem">{}{}</li>').format(framed, below)


# Model, run, earlier days ------------------------------------------------------------------------------------------


def _model(lineage: AttributeLineage) -> Markup:
    model_id = lineage.stored.model_id
    if model_id is None:
        return paragraph("No model: people annotated it, and no model predicts this attribute.")
    if lineage.model is None:
        return joined(_facts("The bundle.", ("Model", _code(model_id))), note("The bundle is no longer on disk."))
    return joined(_bundle(lineage.model), _upstreams(lineage.model), _libraries(lineage.model))


def _bundle(model: TrainedModel) -> Markup:
    return _facts(
        "The bundle that predicted, from its manifest.",
        ("Model", model.name),
        ("Bundle", _code(model.model_id)),
        ("Training day", model.training_day),
        ("Seed", model.seed),
        ("Code version", _code(model.code_version)),
    )


def _upstreams(model: TrainedModel) -> Markup:
    rows = [
        (each.table, _code(each.data_version), "yes" if each.current else Badge("written again since", "warn"))
        for each in model.upstreams
    ]
    return table("What it was trained on.", ("Table", "Data version", "Still the partition of that day"), rows)


def _libraries(model: TrainedModel) -> Markup:
    return details("Libraries", table("As installed.", ("Library", "Version"), sorted(model.libraries.items())))


def _run(lineage: AttributeLineage) -> Markup:
    written = lineage.written
    return _facts(
        "What wrote the partition of predicted_attributes.",
        ("Run", _code(written.run_id) if written.run_id else "outside Dagster"),
        ("In Dagster's UI", _code(written.dagster_path) if written.dagster_path else None),
        ("Written at", written.written_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Data version", _code(written.data_version)),
    )


def _earlier(lineage: AttributeLineage) -> Markup:
    if not lineage.earlier:
        return paragraph("This is the first day that has a value.")
    days = (lineage.stored, *lineage.earlier)
    rows = [
        (
            str(day.ds),
            day.value,
            day.source,
            plain(day.prediction),
            figure_text(day.confidence),
            _code(day.model_id) if day.model_id else plain(None),
        )
        for day in days
    ]
    columns = ("Day", "Value", "Source", "The model's own", "Confidence", "Bundle")
    return table("The same value by day, newest first.", columns, rows, ["Confidence"])
