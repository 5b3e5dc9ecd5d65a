"""Report: one self-contained page per day.

What belongs here: which tables each section reads. What does not: how a section looks (:mod:`atelier.report`).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from assets.business import FIGURES, SALES
from assets.completeness import missing_assets
from assets.day_changes import day_changes
from assets.day_facts import day_facts, unjudged
from assets.evaluation import origin_of
from assets.open_work import open_work
from assets.pictures import album_of, partition
from assets.publishing import GROUP, SHOWN
from assets.raw import STAGES as RAW
from assets.recommendations import lists_of
from assets.report_index import days_with_page, write_index
from assets.retrieval import RECALL
from assets.stage import stage
from assets.step import Step, markdown
from atelier.complement_lists import TABLE as COMPLEMENTS
from atelier.errors import PartitionMissing
from resources.champions import shown_lists
from resources.made_from import superseded
from resources.promotions import serving_model
from resources.tables import REGISTRY
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.report.parts import Section
    from atelier.report.this_day import Line

#: Whose lists the page shows with their reasons, and how much of them.
EXPLAINED = {"seen": "excluded", "customers": 3, "ranks": 6}

INGESTED = (*(each.name for each in RAW), "images")


@stage(
    produces=["report"],
    deps=SHOWN,
    group=GROUP,
    checks={"stands_alone": "Whether the page runs and loads nothing: it can be mailed, and read without a network."},
    keeps_files=True,
)
def report(step: Step) -> None:
    """The page of the day, which opens with how the day went and what to do; and the page of all days."""
    from assets.lineage_pages import write_page
    from atelier.report.business import tiles
    from atelier.report.index import links_of
    from atelier.report.open_work import cards, open_work_section
    from atelier.report.page import render_page
    from atelier.report.self_contained import loaded_from_elsewhere
    from atelier.report.text import leaderboard_text
    from atelier.report.this_day import day_lines, status, this_day_section

    folder, title = step.home.reports, f"Atelier · {step.home.settings.source}"
    lines = [*day_lines(day_facts(step)), *_watched(step)]
    work, album = open_work(step), album_of(step)
    opening = [tiles(partition(step, FIGURES), step.ds), cards(work, album)]
    first = [this_day_section(lines, opening), open_work_section(work, album)]
    sections = [*first, *(section(step) for section in SECTIONS)]
    links = links_of(step.ds, days_with_page(folder))
    page = render_page(title, step.ds, [each for each in sections if each is not None], links)
    target = report_path(folder, step.ds)
    write_page(page, target)
    index = write_index(folder, title, step.ds, lines, {each.ds for each in superseded(step.home.storage)})
    loaded = loaded_from_elsewhere(page)
    step.check("stands_alone", not loaded, f"the page loads {', '.join(loaded)}" if loaded else "it loads nothing")
    step.note("report", path=str(target), bytes=len(page.encode()), index=str(index), status=status(lines))
    step.note("report", **{line.subject.lower(): f"{line.figure}. {line.text} {line.todo}".strip() for line in lines})
    metrics = partition(step, "offline_metrics")
    if metrics is not None:
        step.note("report", leaderboard=markdown(f"```\n{leaderboard_text(metrics)}\n```"))


def report_path(folder: Path, ds: date) -> Path:
    """The file of a day's page."""
    from atelier.report.index import page_name

    return folder / page_name(ds)


def _watched(step: Step) -> "list[Line]":
    """The lines on gates and drift; none of what was not measured."""
    from atelier.report.watched import drift_line, gates_line

    listed = bool(step.store.days("recommendations") & {step.ds})
    gates = gates_line(partition(step, "gates"), partition(step, "champions"), listed=listed)
    lines = [gates, drift_line(_drifted(step))]
    return [line for line in lines if line is not None]


def _drifted(step: Step) -> "pd.DataFrame | None":
    """The table drift of the day; None where it was not made, or this version has none."""
    return partition(step, "drift") if "drift" in REGISTRY else None


def _business(step: Step) -> "Section":
    from atelier.report.business import business_section

    return business_section(partition(step, FIGURES), partition(step, SALES), step.ds)


def _gates(step: Step) -> "Section":
    from atelier.report.watched import gates_section

    return gates_section(partition(step, "gates"), partition(step, "champions"))


def _changes(step: Step) -> "Section":
    from atelier.report.changes import changes_section

    return changes_section(day_changes(step))


def _ingest(step: Step) -> "Section":
    import pandas as pd

    from atelier.report.ingest import ingest_section

    faults = partition(step, "rejected")
    rows = []
    for table in INGESTED:
        if (stored := step.store.pointer(table, step.ds)) is not None:
            own = faults[faults["source_table"] == table] if faults is not None else pd.DataFrame({"row_kept": []})
            dropped = int(own["row_kept"].sum())
            rejected = len(own) - dropped
            rows.append((table, stored.rows + rejected, stored.rows, rejected, dropped))
    counts = pd.DataFrame(rows, columns=["table", "rows_in", "rows_stored", "rows_rejected", "values_dropped"])
    events = [p for p in step.store.pointers("interactions") if p.ds <= step.ds]
    empty = {"interactions": sorted(p.ds for p in events if p.rows == 0)}
    return ingest_section(counts, faults, empty)


def _drift(step: Step) -> "Section":
    from assets.drift import TABLE
    from atelier.monitoring.drift.verdicts import DriftConfig
    from atelier.report.drift import drift_section

    earlier = [step.ds - timedelta(days=back) for back in reversed(range(1, DriftConfig().history + 1))]
    history = [(day, frame) for day in earlier if (frame := partition(step, TABLE, day)) is not None]
    return drift_section(partition(step, TABLE), history)


def _checks(step: Step) -> "Section":
    from atelier.report.checks import checks_section

    return checks_section(step.check_history())


def _attributes(step: Step) -> "Section":
    from atelier.report.attributes import attributes_section

    untrained = _untrained(step)
    return attributes_section(partition(step, "attribute_metrics"), untrained)


def _attribute_study(step: Step) -> "Section":
    from atelier.report.attribute_study import attribute_study_section

    day = _newest(step, "attribute_study")
    if day is None:
        return attribute_study_section(None)
    study, confusions = (partition(step, table, day) for table in ("attribute_study", "attribute_confusions"))
    learned = (
        "Photographs were encoded by a backbone that was fine-tuned on annotations, also of articles that the split "
        "`random` tests on, so all figures of that split that use photographs are too good."
    )
    return attribute_study_section(study, confusions, day, remark=learned if _fine_tuned(step, day) else None)


def _newest(step: Step, table: str) -> date | None:
    """The newest day with a study, this one or earlier, because studies are not run every day."""
    return max((pointer.ds for pointer in step.store.pointers(table) if pointer.ds <= step.ds), default=None)


def _recommender_study(step: Step) -> "Section":
    from atelier.report.recommender_study import recommender_study_section

    day = _newest(step, "recommender_study")
    if day is None:
        return recommender_study_section(None)
    origin = day - timedelta(days=step.home.settings.horizon)
    tables = ("recommender_study", "recommender_study_tests", "recommender_neighbours")
    study, tests, neighbours = (partition(step, table, day) for table in tables)
    return recommender_study_section(
        study,
        tests,
        neighbours,
        day=day,
        period=f"made on {origin}, evaluated on {origin + timedelta(days=1)} … {day}",
        album=album_of(step, origin),
    )


def _sequence_study(step: Step) -> "Section":
    from atelier.report.sequence_study import sequence_study_section

    day = _newest(step, "sequence_study")
    if day is None:
        return sequence_study_section(None)
    return sequence_study_section(partition(step, "sequence_study", day), day=day)


def _tuning(step: Step) -> "Section":
    from atelier.report.tuning import tuning_section

    day = _newest(step, "tuning_trials")
    if day is None:
        return tuning_section(None)
    trials, parameters = (partition(step, table, day) for table in ("tuning_trials", "tuning_parameters"))
    # What the settings say of presets may be of later days: a page shows those alone that its own day could know.
    presets = {each.study: name for name, each in step.home.settings.presets.items() if each.last_day_seen <= step.ds}
    return tuning_section(trials, parameters, day=day, presets=presets)


def _map(step: Step) -> "Section":
    """The map of the catalogue; the page whose points show photographs is written here."""
    from assets.lineage_pages import write_page
    from atelier.report.catalogue_map import catalogue_map_page, catalogue_map_section
    from atelier.report.index import page_name
    from atelier.report.page import Link

    places, articles = partition(step, "catalogue_map"), partition(step, "articles")
    page = step.home.reports / f"ds={step.ds}-map.html"
    if places is None or articles is None or places.empty:
        page.unlink(missing_ok=True)
        return catalogue_map_section(None)
    typed = places.merge(articles[["article_id", "product_type"]], on="article_id", how="left")
    back = Link(f"{page_name(step.ds)}#map", f"← The page of {step.ds}", "up")
    write_page(catalogue_map_page(typed, album_of(step), "Map of the catalogue", str(step.ds), back), page)
    return catalogue_map_section(typed, page.name)


def _lineage(step: Step) -> "Section":
    """A few predicted values; the lineage page of each is written here."""
    from assets.lineage_pages import write_examples
    from atelier.report.lineage import lineage_section
    from resources.attribute_lineage import Tracer, image_root

    tracer = Tracer(step.store, step.models, step.cache, image_root(step.home))
    examples = write_examples(step.store, tracer, step.ds, step.home.reports)
    return lineage_section(examples)


def _catalogue_errors(step: Step) -> "Section":
    from atelier.report.catalogue_errors import catalogue_errors_section

    learned = (
        "Photographs are encoded by a backbone that was fine-tuned on these annotations, including the wrong ones: it "
        "agrees with them more than it should, and some errors stay unfound."
    )
    return catalogue_errors_section(
        partition(step, "catalogue_errors"),
        album_of(step),
        shares=partition(step, "catalogue_error_shares"),
        remark=learned if _fine_tuned(step, step.ds) else None,
    )


def _encoder_of(step: Step, ds: date) -> str:
    """The id of the encoder of a day's photographs, whatever the settings say now; empty: the day has no vectors."""
    vectors = partition(step, "image_embeddings", ds)
    return "" if vectors is None or vectors.empty else str(vectors["encoder_id"].iloc[0])


def _untrained(step: Step) -> str | None:
    """A note for the page if the encoder of the day has seeded weights; otherwise None."""
    from atelier.images import small

    named = step.home.settings.encoder
    backbone = _encoder_of(step, step.ds).rpartition("-")[0]
    seeded = {small.NAME, named.backbone} if named.weights == "none" else {small.NAME}
    if backbone not in seeded or _fine_tuned(step, step.ds):
        return None
    return f"Photographs are encoded by the backbone `{backbone}` with seeded weights: it was not trained."


def _fine_tuned(step: Step, ds: date) -> bool:
    """Whether the photographs of a day were encoded by a backbone that was fine-tuned on annotations."""
    from resources.encoders import backbone_of

    encoder_id = _encoder_of(step, ds)
    return bool(encoder_id) and backbone_of(step.home.storage, [encoder_id]) is not None


def _missing(step: Step) -> "Section | None":
    """The assets that the day lacks; None where it lacks nothing."""
    from atelier.report.missing import missing_section

    missing = missing_assets(step)
    return missing_section(missing, lists_of(serving_model(step.home, step.ds))) if missing else None


def _leaderboard(step: Step) -> "Section":
    from atelier.report.leaderboard import leaderboard_section

    origin = origin_of(step)
    section = leaderboard_section(
        partition(step, "offline_metrics"),
        partition(step, "model_comparisons"),
        period=f"made on {origin}, evaluated on {origin + timedelta(days=1)} … {step.ds}",
    )
    return _judged_or_why(step, section)


def _judged_or_why(step: Step, section: "Section") -> "Section":
    """The section; where nothing was judged it says why, and which command judges which lists."""
    return replace(section, absent=unjudged(step), job="") if section.absent else section


def _diversity(step: Step) -> "Section":
    from atelier.report.diversity import diversity_section

    return _judged_or_why(step, diversity_section(partition(step, "offline_metrics")))


def _neighbours(step: Step) -> "Section":
    from atelier.report.neighbours import neighbours_section

    complements = partition(step, COMPLEMENTS)
    return neighbours_section(partition(step, "similar_articles"), album_of(step), complements=complements)


def _out_of_stock(step: Step) -> "Section":
    from atelier.report.neighbours import replacements_section

    return replacements_section(partition(step, "out_of_stock_replacement"), album_of(step))


def _recommendations(step: Step) -> "Section":
    """The lists of a few customers; the table holds those of all."""
    from assets.attention import attention_of
    from atelier.report.recommendations import recommendations_section

    try:
        with step.connect("recommendations") as con:
            lists = con.sql(query("shown_recommendations"), params=EXPLAINED).df()
    except PartitionMissing:
        return recommendations_section(None)
    attention = attention_of(step.models, step.ds, set(lists["customer_id"].astype(str)))
    shown = shown_lists(step.store, step.ds)
    kept = "" if shown is None or shown.made_on == step.ds else f"those of {shown.model} of {shown.made_on} stay"
    return recommendations_section(lists, album_of(step), attention, kept)


def _search(step: Step) -> "Section":
    import pandas as pd

    from atelier.report.search import search_section

    try:
        curve = pd.read_parquet(step.bundle("article_index").path / RECALL)
    except PartitionMissing:
        curve = None
    return search_section(curve)


#: What each stage contributes below the summary of the day, in the order in which it is read.
SECTIONS: tuple[Callable[[Step], "Section | None"], ...] = (
    _missing,
    _business,
    _gates,
    _drift,
    _changes,
    _leaderboard,
    _recommendations,
    _attributes,
    _catalogue_errors,
    _lineage,
    _attribute_study,
    _recommender_study,
    _sequence_study,
    _tuning,
    _diversity,
    _neighbours,
    _out_of_stock,
    _map,
    _search,
    _ingest,
    _checks,
)

STAGES = (report,)
