"""The section on the recommender study: who is more precise, by how much, how sure that is, and for whom.

What belongs here: showing recommender_study, recommender_study_tests and recommender_neighbours. What does not: the
plots (:mod:`atelier.report.recommender_plots`), the photographs (:mod:`atelier.report.neighbours_picture`), the
study (:mod:`atelier.studies.recommender_study`).
"""

from collections.abc import Iterator, Sequence
from datetime import date

import pandas as pd
from markupsafe import Markup

from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS
from atelier.report import parts
from atelier.report import recommender_plots as plots
from atelier.report.album import Album
from atelier.report.drawing import figures
from atelier.report.leaderboard import NO_DIFFERENCE, SIGNIFICANT, segment_table
from atelier.report.measured import chosen, grid, values_and_errors
from atelier.report.neighbours_picture import POPULARITY, neighbours_drawings


@parts.section(
    "Recommender study",
    "recommender-study",
    "The recommenders have not been compared in a study yet.",
    "recommender_study",
)
def recommender_study_section(
    study: pd.DataFrame,
    tests: pd.DataFrame | None = None,
    neighbours: pd.DataFrame | None = None,
    *,
    day: date | None = None,
    period: str | None = None,
    album: Album | None = None,
) -> Iterator[str]:
    """Precision and recall, the paired tests, the gain by sparsity, the segments, and the nearest neighbours.

    Args:
        study: the table recommender_study of one day.
        tests: the table recommender_study_tests of that day.
        neighbours: the table recommender_neighbours of that day.
        day: which day it is of.
        period: when lists were made and on which days they are evaluated.
        album: names and photographs.
    """
    study = plots.at_length(study)
    models, k = plots.ranked(study), plots.length(study)
    when = f" Lists {period}." if period else ""
    yield parts.paragraph(
        f"Study of {day}: every model learned from the same interactions and is judged on the same customers.{when}"
    )
    yield parts.heading("Precision and recall")
    yield from figures(plots.accuracy_drawings(study))
    yield accuracy_table(study)
    if tests is not None and len(tests):
        yield parts.heading("Which differences are real")
        yield from _tests(tests, models, k)
    yield parts.heading("With fewer interactions")
    if tests is not None and len(tests):
        yield from figures(plots.gain_drawings(study, tests))
    yield shares_table(study)
    yield parts.heading("For whom, and for which articles")
    yield from figures(plots.segment_drawings(study))
    yield _segments(study)
    if neighbours is not None and len(neighbours):
        yield parts.heading("Nearest neighbours")
        yield from _neighbours(neighbours, models, album or Album())


# ---- accuracy


def accuracy_table(study: pd.DataFrame) -> Markup:
    """Precision and recall over everyone with the deviation over seeds, of the largest share; the ceiling last."""
    rows = plots.largest(study)
    everyone = chosen(rows, segment=ALL)
    models = [*plots.ranked(study), *([plots.CEILING] if plots.CEILING in set(everyone["model"]) else [])]
    values, errors = values_and_errors(everyone, "model", models, "metric", plots.METRICS)
    spread = grid(everyone, "model", models, "metric", plots.METRICS, "deviation")
    counts = chosen(everyone, metric="precision").set_index("model")
    cells = []
    for row, model in enumerate(models):
        figures = [
            cell
            for value, error, deviation in zip(values[row], errors[row], spread[row], strict=True)
            for cell in (parts.interval_cell(value, error, best=row == 0), parts.figure_text(deviation))
        ]
        cells.append([model, *figures, *(parts.count_text(counts.loc[model, name]) for name in ("seeds", "customers"))])
    heads = [h for name in plots.METRICS for h in (f"{name.capitalize()}@{plots.length(study)}", f"Deviation, {name}")]
    share = float(rows.loc[rows["model"] != plots.CEILING, "share"].max())
    caption = "Means over seeds, with 95% intervals over customers; beside them the standard deviation over seeds. " + (
        "All interactions." if share == 1 else f"{100 * share:g}% of the interactions."
    )
    return parts.table(caption, ["Model", *heads, "Seeds", "Customers"], cells)


# ---- tests


def _tests(tests: pd.DataFrame, models: Sequence[str], k: int) -> Iterator[Markup]:
    shares = sorted(set(tests["share"].astype(float)), reverse=True)
    for share in shares:
        shown = tests_table(tests[tests["share"] == share], models, k)
        yield shown if share == shares[0] else parts.details(f"The same with {plots.percent(share)}", shown)


def tests_table(tests: pd.DataFrame, models: Sequence[str], k: int) -> Markup:
    """The pairs of one share: the gain, and p by customers and by seeds; the better model of a pair is named first.

    Args:
        tests: rows of recommender_study_tests of one share.
        models: the models, best first: the order of the rows.
        k: the length of the lists.
    """
    rank = {model: number for number, model in enumerate(models)}
    oriented = better_first(tests)
    oriented = oriented.assign(first=oriented["model"].map(rank), second=oriented["against"].map(rank))
    ordered = oriented.sort_values(["first", "second", "model", "against"], kind="stable")
    cells = []
    for (model, against), pair in ordered.groupby(["model", "against"], sort=False):
        by_unit = pair.set_index("unit")
        both = by_unit.reindex(["customers", "seeds"])
        first = by_unit.iloc[0] if "customers" not in by_unit.index else by_unit.loc["customers"]
        cells.append(
            [
                f"{model} over {against}",
                parts.interval_cell(first["difference"], first["standard_error"]),
                parts.percent_text(first["relative"]),
                *map(parts.p_text, both["p_holm"].astype("float64")),
                *map(parts.count_text, both["pairs"].astype("float64")),
                _verdict(both, str(model)),
            ]
        )
    return parts.table(
        "Two-sided paired t-tests, over customers (their means over the seeds) and over seeds (their means over "
        "customers); p Holm-corrected over the pairs of each. The interval is over customers. Both have to agree.",
        ["Models", f"Δ precision@{k}", "Gain", "p, customers", "p, seeds", "Customers", "Seeds", "Verdict"],
        cells,
        ("Models", "Verdict"),
    )


def better_first(tests: pd.DataFrame) -> pd.DataFrame:
    """Every pair with the better model, by customers, first: differences and gains are those of the better one."""
    pair = tests["model"].astype(str) + "\n" + tests["against"].astype(str)
    behind = pair[(tests["unit"] == "customers") & (tests["difference"].astype("float64") < 0)]
    return plots.turned(tests, pair.isin(set(behind)).to_numpy(bool))


def _verdict(by_unit: pd.DataFrame, model: str) -> parts.Badge | str:
    """A badge where all tests that were made show that the first model is better."""
    p = by_unit["p_holm"].astype("float64")
    differences = by_unit["difference"].astype("float64")
    if p.isna().all() or (p.fillna(0) >= SIGNIFICANT).any() or (differences < 0).any():
        return NO_DIFFERENCE
    return parts.Badge(f"{model} is better", "good")


# ---- sparsity


def shares_table(study: pd.DataFrame) -> Markup:
    """Precision of every model by the share of the interactions that it learned from."""
    rows = chosen(study, metric="precision", segment=ALL)
    rows = rows[rows["model"] != plots.CEILING]
    shares = sorted(set(rows["share"].astype(float)), reverse=True)
    models = plots.ranked(study)
    figures = parts.interval_cells(*values_and_errors(rows, "model", models, "share", shares), mark_best=True)
    caption = (
        f"Precision@{plots.length(study)} over the same customers, with 95% intervals; which interactions are kept "
        "depends on the seed, and is the same for every model."
    )
    cells = [[model, *line] for model, line in zip(models, figures, strict=True)]
    return parts.table(caption, ["Model", *map(plots.percent, shares)], cells)


# ---- segments


def _segments(study: pd.DataFrame) -> Markup:
    rows = plots.largest(study)
    present = set(rows["segment"])
    segments = [name for name in (*ACTIVITY_SEGMENTS, *ARTICLE_SEGMENTS[::-1]) if name in present]
    tables = [
        segment_table(
            f"{metric.capitalize()}@{plots.length(study)}: of customers by their interactions, and of what they chose "
            "among warm, cold and new articles, on the lists as they are.",
            chosen(rows, metric=metric),
            plots.ranked(study),
            segments,
            plots.TITLES,
        )
        for metric in plots.METRICS
    ]
    return parts.details("The figures by segment", *tables)


# ---- neighbours


def _neighbours(neighbours: pd.DataFrame, models: Sequence[str], album: Album) -> Iterator[Markup]:
    yield parts.paragraph(
        "An article that many, one that some and one that hardly any customers chose, and the three nearest to each by "
        "the vectors of every model, all trained on all interactions with the first seed."
    )
    yield from figures(neighbours_drawings(neighbours, models, album))
    ordered = neighbours.assign(
        first=neighbours["popularity"].map(list(POPULARITY).index),
        second=neighbours["model"].map({model: number for number, model in enumerate(models)}).astype(float),
    ).sort_values(["first", "second", "model", "rank"], kind="stable")
    cells = [
        [
            album.named(str(row["article_id"])),
            row["popularity"],
            row["model"],
            parts.count_text(row["rank"]),
            album.named(str(row["similar_article_id"])),
            parts.figure_text(row["similarity"], 2),
        ]
        for row in ordered.to_dict("records")
    ]
    heads = ("Article", "Popularity", "Model", "Rank", "Neighbour", "Cosine")
    listed = parts.table("The same in words.", heads, cells, [h for h in heads if h not in ("Rank", "Cosine")])
    yield parts.details("The neighbours as a table", listed)
