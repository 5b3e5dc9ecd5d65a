"""The page of one predicted value, and the section of the daily page that leads to a few of them.

What belongs here: showing an :class:`~atelier.attributes.lineage.AttributeLineage`, photographs included. What does
not: gathering it, choosing which values are shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from atelier.attributes.lineage import AttributeLineage, PhotographRead, TrainedModel
from atelier.report import parts
from atelier.report.album import inline_picture, strip
from atelier.report.page import Link, render_page

if TYPE_CHECKING:
    from atelier.attributes.explanation import Explanation, WordWeight

SIZE = (300, 400)  # pixels, the longest sides of a photograph on the page
WORDS = 10  # are shown; the others are folded away
NOTICED = 0.005  # the weight from which on a word is marked in the text
BAR = 9.0  # rem, of a weight of 1
SURE = 0.5  # the confidence from which on a prediction is more probably right than wrong


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


@parts.section("Where values come from", "lineage", "No attribute has been predicted for this day yet.")
def lineage_section(examples: Sequence[LineageExample]) -> Iterator[str]:
    """A few values of the day, each with what decided it and a link to its page.

    Args:
        examples: which; None or empty: nothing was predicted.
    """
    rows = [
        (
            Markup('<a href="{}">{}</a>').format(example.href, example.why),
            lineage.article_id,
            lineage.attribute,
            lineage.stored.value,
            _source(lineage),
            parts.plain(lineage.stored.prediction),
            parts.figure_text(lineage.stored.confidence, 3),
            lineage.decision or parts.plain(lineage.unexplained),
        )
        for example, lineage in ((each, each.lineage) for each in examples)
    ]
    text = ("Example", "Article", "Attribute", "Value", "Source", "The model's own", "Why")
    columns = [*text[:-1], "Confidence", "Why"]
    yield parts.paragraph("Every value can be traced: what was read, by which model, what decided, which run wrote it.")
    yield parts.table("A few values of the day; the first column leads to the page of each.", columns, rows, text)
    yield Markup("<p>Of any other value: <code>atelier lineage ARTICLE ATTRIBUTE --page FILE</code>.</p>\n")
    for example in examples:
        if example.lineage.differences:
            yield parts.note(f"{example.why}: {_loud(example.lineage)}", "bad")


def lineage_page(lineage: AttributeLineage, root: Path | None = None, back: Link | None = None) -> str:
    """The page of one value as one HTML document: no script, no external resource.

    Args:
        lineage: where the value comes from.
        root: the source's folder of images, which must hold the photographs; None: none is shown.
        back: the page that led here; None: the page stands alone.
    """
    bodies = (
        ("Value", "value", _value(lineage)),
        ("What was read", "read", _read(lineage, root)),
        ("Why", "why", _why(lineage)),
        ("Backbone", "backbone", _backbone(lineage)),
        ("Model", "model", _model(lineage)),
        ("Run", "run", _run(lineage)),
        ("Earlier days", "earlier", _earlier(lineage)),
    )
    sections = [parts.Section(title, anchor, parts.joined(*body)) for title, anchor, body in bodies]
    named = f" · {lineage.name}" if lineage.name else ""
    return render_page(
        f"{lineage.attribute} of {lineage.article_id}{named}", lineage.stored.ds, sections, [back] if back else ()
    )


def _source(lineage: AttributeLineage) -> parts.Badge:
    """The source of the value: green only where people say so and the model agrees, or the model is sure of it."""
    stored = lineage.stored
    sure = stored.confidence is not None and stored.confidence >= SURE
    good = stored.source == "annotated" or (stored.source == "predicted" and sure)
    return parts.Badge(stored.source, "good" if good and not lineage.contradicted else "warn")


def _loud(lineage: AttributeLineage) -> str:
    return f"The recorded model does not reproduce what is stored: {'; '.join(lineage.differences)}."


def _facts(caption: str, *facts: tuple[str, object]) -> Markup:
    """A table of two columns, without the empty facts."""
    columns = ("What", "")
    return parts.table(caption, columns, [fact for fact in facts if fact[1] is not None], columns)


def _code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(text)


# The value ---------------------------------------------------------------------------------------------------------


def _value(lineage: AttributeLineage) -> Iterator[Markup]:
    stored = lineage.stored
    if lineage.differences:
        yield parts.note(_loud(lineage), "bad")
    if lineage.gone_since:
        yield parts.note(f"The article is no longer in the catalogue of {lineage.gone_since}.")
    yield _facts(
        f"What predicted_attributes holds of it on {stored.ds}.",
        ("Value", Markup('<span class="best">{}</span>').format(stored.value)),
        ("Source", _source(lineage)),
        ("Which means", lineage.origin),
        ("The model's own value", stored.prediction),
        ("Confidence in it", None if stored.confidence is None else parts.figure_text(stored.confidence)),
        ("Product type", lineage.product_type),
    )
    if lineage.alternatives:
        rows = [(value, _bar(share), parts.figure_text(share)) for value, share in lineage.alternatives]
        text = ("Value", "")
        caption = "The values that remain possible, most probable first."
        yield parts.table(caption, (*text, "Probability"), rows, text)


def _bar(share: float) -> Markup:
    """A bar as long as the share; a negative one is in the colour of lines."""
    colour = "--accent" if share >= 0 else "--line"
    style = "display:inline-block;height:.65rem;border-radius:.2rem;background:var({});width:{:.2f}rem"
    return Markup('<span style="{}"></span>').format(style.format(colour, BAR * min(1.0, abs(share))))


# Why ---------------------------------------------------------------------------------------------------------------


def _why(lineage: AttributeLineage) -> Iterator[Markup]:
    found = lineage.explanation
    if found is None:
        yield parts.note(lineage.unexplained or "", "none")
        return
    yield parts.paragraph(lineage.decision)
    if lineage.reproduced:
        yield parts.paragraph("The recorded model was run again on what it had read, and gave the stored value.")
    else:
        yield parts.note(_loud(lineage), "bad")
    yield parts.table(
        f"The article once more without one thing at a time. With everything, {found.value} has the probability"
        f" {parts.figure_text(found.probability)}; the weight is what it loses. Metadata are product type, brand and"
        " division together.",
        ("Without", "It says", "With", f"Probability of {found.value}", "Weight", ""),
        [
            (
                each.removed.replace("_", " ") + ("" if each.present else " (it has none)"),
                each.value,
                *map(parts.figure_text, (each.confidence, each.probability)),
                signed(each.weight),
                _bar(each.weight),
            )
            for each in found.removals
        ],
        ("Without", "It says", ""),
    )
    yield parts.heading("Words")
    yield from _words(found)


def signed(weight: float) -> str:
    """A weight with its sign."""
    shown = parts.figure_text(weight)
    return shown if shown.startswith("−") else f"+{shown}"


def _words(found: "Explanation") -> Iterator[Markup]:
    if not found.words:
        yield parts.paragraph("The article has no text.")
        return
    shown, folded = found.weights[:WORDS], found.weights[WORDS:]
    heavy = {each.word for each in shown if each.weight >= NOTICED}
    marked = Markup(" ").join(
        Markup('<span class="best" style="color:var(--accent)">{}</span>').format(word) if word in heavy else word
        for word in found.words
    )
    yield Markup("<p>{}</p>\n").format(marked)
    unread = f" A further {found.unread} words of the text are not read." if found.unread else ""
    yield _weights(
        f"The text once more without one word at a time (all its occurrences).{unread} Words that say the same"
        " cover for each other, so the weights do not sum to the probability.",
        shown,
    )
    if folded:
        title = f"{len(folded)} further words, down to those that spoke against it"
        yield parts.details(title, _weights("", folded))


def _weights(caption: str, words: "Iterable[WordWeight]") -> Markup:
    rows = [
        (each.word, each.occurrences, parts.figure_text(each.probability), signed(each.weight), _bar(each.weight))
        for each in words
    ]
    return parts.table(caption, ("Word", "Times", "Probability without it", "Weight", ""), rows, ("Word", ""))


# What was read -----------------------------------------------------------------------------------------------------


def _read(lineage: AttributeLineage, root: Path | None) -> Iterator[Markup]:
    text = lineage.text
    cards = strip(_photograph(each, lineage, root) for each in lineage.photographs)
    yield parts.heading("Photographs")
    yield cards or parts.paragraph("It read no photograph.")
    yield parts.heading("Text")
    yield parts.paragraph("Not kept." if text.text is None else text.text or "(none)")
    yield _facts(
        "The text by its digest.",
        ("SHA-256", _code(text.digest)),
        ("The text above", "is what was read" if text.same else parts.Badge("is another one", "bad")),
        (
            "On the newest day",
            "the text is the same" if text.current else parts.Badge("the text is another one", "warn"),
        ),
    )
    yield parts.heading("Columns")
    yield Markup("<p><code>predicted_attributes.value</code> is computed from {}.</p>\n").format(
        Markup(", ").join(map(_code, lineage.computed_from))
    )


def _photograph(photograph: PhotographRead, lineage: AttributeLineage, root: Path | None) -> Markup:
    picture = None if photograph.problem or root is None else inline_picture(photograph.path, root, SIZE)
    alternative = f"Photograph {parts.plain(photograph.shot)} of article {lineage.article_id}"
    inside = (
        Markup('<img src="{}" alt="{}" style="object-fit:contain">').format(picture, alternative)
        if picture
        else Markup("<span>{}</span>").format(photograph.problem or "it cannot be shown")
    )
    stale = "" if photograph.current else Markup('<span class="badge warn">not on the newest day</span>')
    return Markup(
        '<li style="width:14rem"><div class="photograph" style="height:17rem">{}</div><span>{}</span>'
        "<span class=soft>SHA-256 {}</span>{}</li>"
    ).format(inside, parts.plain(photograph.path), photograph.digest, stale)


# Model, run, earlier days ------------------------------------------------------------------------------------------


def _backbone(lineage: AttributeLineage) -> Iterator[Markup]:
    backbone_id, backbone = lineage.backbone_id, lineage.backbone
    if backbone_id is None:
        yield parts.paragraph("The photographs of that day were not read by a backbone that was fine-tuned here.")
    elif backbone is None:
        yield _facts("The backbone that had read the photographs.", ("Backbone", _code(backbone_id)))
        yield parts.note("The bundle is no longer on disk.")
    else:
        yield from _bundle(backbone, "The fine-tuned backbone that had read the photographs, from its manifest.")


def _model(lineage: AttributeLineage) -> Iterator[Markup]:
    model_id, model = lineage.stored.model_id, lineage.model
    if model_id is None:
        yield parts.paragraph("No model: people annotated it, and no model predicts this attribute.")
    elif model is None:
        yield _facts("The bundle.", ("Model", _code(model_id)))
        yield parts.note("The bundle is no longer on disk.")
    else:
        yield from _bundle(model, "The bundle that predicted, from its manifest.")


_SAME, _AGAIN = parts.Badge("yes", "good"), parts.Badge("written again since", "warn")


def _bundle(model: TrainedModel, caption: str) -> Iterator[Markup]:
    yield _facts(
        caption,
        ("Model", model.name),
        ("Bundle", _code(model.model_id)),
        ("Training day", model.training_day),
        ("Seed", model.seed),
        ("Code version", _code(model.code_version)),
    )
    read = [(each.table, _code(each.data_version), _SAME if each.current else _AGAIN) for each in model.upstreams]
    columns = ("Table", "Data version", "Still the partition of that day")
    yield parts.table("What it was trained on.", columns, read, columns)
    heads = ("Library", "Version")
    yield parts.details("Libraries", parts.table("As installed.", heads, sorted(model.libraries.items()), heads))


def _run(lineage: AttributeLineage) -> Iterator[Markup]:
    written = lineage.written
    yield _facts(
        "What wrote the partition of predicted_attributes.",
        ("Run", _code(written.run_id) if written.run_id else "outside Dagster"),
        ("In Dagster's UI", _code(written.dagster_path) if written.dagster_path else None),
        ("Written at", written.written_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Data version", _code(written.data_version)),
    )


def _earlier(lineage: AttributeLineage) -> Iterator[Markup]:
    if not lineage.earlier:
        yield parts.paragraph("This is the first day that has a value.")
        return
    rows = [
        (
            str(day.ds),
            day.value,
            day.source,
            parts.plain(day.prediction),
            parts.figure_text(day.confidence),
            _code(day.model_id) if day.model_id else parts.NONE,
        )
        for day in (lineage.stored, *lineage.earlier)
    ]
    text = ("Day", "Value", "Source", "The model's own", "Bundle")
    yield parts.table("The same value by day, newest first.", (*text[:-1], "Confidence", "Bundle"), rows, text)
