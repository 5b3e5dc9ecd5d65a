"""The section on the recommender study: who is more precise, by how much, how sure that is, and for whom.

What belongs here: showing recommender_study, recommender_study_tests and recommender_neighbours. What does not: the
plots (:mod:`atelier.report.recommender_drawings`), the photographs (:mod:`atelier.report.neighbours_picture`), the
study (:mod:`atelier.studies.recommender_study`).
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS
from atelier.report.drawing import figures
from atelier.report.measured import grid
from atelier.report.neighbours import names_of
from atelier.report.neighbours_picture import POPULARITY, neighbours_drawings
from atelier.report.parts import (
    NONE,
    Badge,
    Section,
    count_text,
    details,
    figure_text,
    heading,
    interval_cell,
    joined,
    missing,
    p_text,
    paragraph,
    percent_text,
    plain,
    table,
)
from atelier.report.recommender_drawings import (
    CEILING,
    JUDGED,
    TITLES,
    accuracy_drawings,
    at_length,
    gain_drawings,
    largest,
    length,
    of_segments,
    percent,
    ranked,
    segment_drawings,
    turned,
)

COMMAND = "dg launch --job recommender_study --partition <day>"
SIGNIFICANT = 0.05


def recommender_study_section(
    study: pd.DataFrame | None,
    tests: pd.DataFrame | None = None,
    neighbours: pd.DataFrame | None = None,
    *,
    day: date | None = None,
    period: str | None = None,
    photographs: Mapping[str, Path | str] | None = None,
    articles: pd.DataFrame | None = None,
    root: Path | None = None,
    command: str = COMMAND,
) -> Section:
    """Precision and recall, the paired tests, the gain by sparsity, the segments, and the nearest neighbours.

    Args:
        study: the table recommender_study of one day.
        tests: the table recommender_study_tests of that day.
        neighbours: the table recommender_neighbours of that day.
        day: which day it is of.
        period: when lists were made and by which days they are judged.
        photographs: the image file of an article.
        articles: article_id, name, for captions.
        root: the folder that must hold the photographs, and that relative paths start from. None: any place.
        command: what to run where there is none.
    """
    title, anchor = "Recommender study", "recommender-study"
    if study is None or study.empty:
        return Section(title, anchor, missing("The recommenders have not been compared in a study yet.", command))
    study = at_length(study)
    compared = pd.DataFrame(columns=TESTED) if tests is None else tests
    when = f" Lists {period}." if period else ""
    parts: list[str] = [
        paragraph(
            f"Study of {day}: every model learned from the same interactions and is judged on the same customers.{when}"
        ),
        heading("Precision and recall"),
        *figures(accuracy_drawings(study)),
        accuracy_table(study),
    ]
    if len(compared):
        parts += [heading("Which differences are real"), *_tests(compared, ranked(study), length(study))]
    parts += [heading("With fewer interactions"), *figures(gain_drawings(study, compared)), shares_table(study)]
    parts += [heading("For whom, and for which articles"), *figures(segment_drawings(study)), _segments(study)]
    if neighbours is not None and len(neighbours):
        parts += [heading("Nearest neighbours"), *_neighbours(neighbours, ranked(study), photographs, articles, root)]
    return Section(title, anchor, joined(*parts))


TESTED = ("share", "unit", "model", "against", "difference", "relative", "standard_error", "p_value", "p_holm", "pairs")

# ---- accuracy


def accuracy_table(study: pd.DataFrame) -> Markup:
    """Precision and recall with the deviation over seeds, everyone, the largest share kept; the ceiling last."""
    rows, k = largest(study), length(study)
    everyone = rows[rows["segment"] == ALL]
    models = [*ranked(study), *([CEILING] if CEILING in set(everyone["model"]) else [])]
    values, errors, spread = (
        grid(everyone, "metric", JUDGED, "model", models, name) for name in ("value", "standard_error", "deviation")
    )
    counts = everyone[everyone["metric"] == "precision"].set_index("model")[["seeds", "customers"]]
    cells = []
    for place, model in enumerate(models):
        figures = [
            cell
            for judged in range(len(JUDGED))
            for cell in (
                interval_cell(values[judged, place], errors[judged, place], best=place == 0),
                figure_text(spread[judged, place]),
            )
        ]
        cells.append([model, *figures, *(count_text(counts.loc[model, name]) for name in ("seeds", "customers"))])
    heads = [head for name in JUDGED for head in (f"{name.capitalize()}@{k}", f"Deviation, {name}")]
    numeric = [*heads, "Seeds", "Customers"]
    return table(
        "Means over seeds, with 95% intervals over customers; beside them the standard deviation over seeds. "
        + _kept(rows),
        ["Model", *numeric],
        cells,
        numeric=numeric,
    )


def _kept(rows: pd.DataFrame) -> str:
    share = float(rows.loc[rows["model"] != CEILING, "share"].max())
    return "All interactions." if share == 1 else f"{100 * share:g}% of the interactions."


# ---- tests


def _tests(tests: pd.DataFrame, models: Sequence[str], k: int) -> list[Markup]:
    shares = sorted(set(tests["share"].astype(float)), reverse=True)
    tables = [tests_table(tests[tests["share"] == share], models, k) for share in shares]
    folded = [
        details(f"The same with {percent(share)}", each) for share, each in zip(shares[1:], tables[1:], strict=True)
    ]
    return [tables[0], *folded]


def tests_table(tests: pd.DataFrame, models: Sequence[str], k: int) -> Markup:
    """The pairs of one share: the gain, and p by customers and by seeds; the better model of a pair is named first.

    Args:
        tests: rows of recommender_study_tests of one share.
        models: the models, best first: the order of the rows.
        k: the length of the lists.
    """
    place = {model: number for number, model in enumerate(models)}
    oriented = better_first(tests)
    oriented = oriented.assign(first=oriented["model"].map(place), second=oriented["against"].map(place))
    ordered = oriented.sort_values(["first", "second", "model", "against"], kind="stable")
    cells = []
    for (model, against), pair in ordered.groupby(["model", "against"], sort=False):
        by_unit = pair.set_index("unit")
        judged = by_unit.reindex(["customers", "seeds"])
        first = by_unit.iloc[0] if "customers" not in by_unit.index else by_unit.loc["customers"]
        cells.append(
            [
                f"{model} over {against}",
                interval_cell(first["difference"], first["standard_error"]),
                percent_text(first["relative"]),
                *(p_text(p) for p in judged["p_holm"].astype("float64")),
                *(count_text(n) for n in judged["pairs"].astype("float64")),
                _verdict(judged, str(model)),
            ]
        )
    numeric = [f"Δ precision@{k}", "Gain", "p, customers", "p, seeds", "Customers", "Seeds"]
    return table(
        "Two-sided paired t-tests, over customers (their means over the seeds) and over seeds (their means over "
        "customers); p Holm-corrected over the pairs of each. The interval is over customers. Both have to agree.",
        ["Models", *numeric, "Verdict"],
        cells,
        numeric=numeric,
    )


def better_first(tests: pd.DataFrame) -> pd.DataFrame:
    """Every pair with the better model, by customers, first: differences and gains are those of the better one."""
    pair = tests["model"].astype(str) + "\n" + tests["against"].astype(str)
    behind = pair[(tests["unit"] == "customers") & (tests["difference"].astype("float64") < 0)]
    return turned(tests, pair.isin(set(behind)).to_numpy(bool))


def _verdict(by_unit: pd.DataFrame, model: str) -> Badge | str:
    """Whether both tests that were made tell the better model from the other."""
    p = by_unit["p_holm"].astype("float64")
    differences = by_unit["difference"].astype("float64")
    if p.isna().all() or (p.fillna(0) >= SIGNIFICANT).any() or (differences < 0).any():
        return "no difference shown"
    return Badge(f"{model} is better", "good")


# ---- sparsity


def shares_table(study: pd.DataFrame) -> Markup:
    """Precision of every model by the share of the interactions that was kept."""
    rows = study[(study["metric"] == "precision") & (study["segment"] == ALL) & (study["model"] != CEILING)]
    shares = sorted(set(rows["share"].astype(float)), reverse=True)
    models = ranked(study)
    values, errors = (grid(rows, "model", models, "share", shares, name) for name in ("value", "standard_error"))
    best = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    cells = [
        [model, *(interval_cell(v, e, best=v == top) for v, e, top in zip(*line, best, strict=True))]
        for model, *line in zip(models, values, errors, strict=True)
    ]
    heads = [percent(share) for share in shares]
    caption = (
        f"Precision@{length(study)} over the same customers, with 95% intervals; which interactions are kept depends "
        "on the seed, and is the same for every model."
    )
    return table(caption, ["Model", *heads], cells, numeric=heads)


# ---- segments


def _segments(study: pd.DataFrame) -> Markup:
    rows, models, k = largest(study), ranked(study), length(study)
    present = set(rows["segment"])
    segments = [name for name in (*ACTIVITY_SEGMENTS, *ARTICLE_SEGMENTS[::-1]) if name in present]
    counts = rows[rows["metric"] == "precision"].groupby("segment")["customers"].max()
    tables = []
    for metric in JUDGED:
        values, errors = (of_segments(rows, metric, segments, models, name) for name in ("value", "standard_error"))
        cells = [
            [TITLES[name], count_text(counts.get(name)), *(interval_cell(v, e) for v, e in zip(*line, strict=True))]
            for name, *line in zip(segments, values, errors, strict=True)
        ]
        caption = (
            f"{metric.capitalize()}@{k}: of customers by their interactions, and of what they chose among warm, cold "
            "and new articles, on the lists as they are."
        )
        tables.append(table(caption, ["Segment", "Customers", *models], cells, numeric=["Customers", *models]))
    return details("The figures by segment", *tables)


# ---- neighbours


def _neighbours(
    neighbours: pd.DataFrame,
    models: Sequence[str],
    photographs: Mapping[str, Path | str] | None,
    articles: pd.DataFrame | None,
    root: Path | None,
) -> list[str]:
    text = (
        "An article that many, one that some and one that hardly any customers chose, and the three nearest to each by "
        "the vectors of every model, all trained on all interactions with the first seed."
    )
    drawings = neighbours_drawings(neighbours, models, photographs, articles, root)
    names = names_of(articles)
    ordered = neighbours.assign(
        place=neighbours["popularity"].map({name: place for place, name in enumerate(POPULARITY)}).astype(int),
        order=neighbours["model"].map({name: place for place, name in enumerate(models)}).astype(float),
    ).sort_values(["place", "order", "model", "rank"], kind="stable")
    cells = [
        [
            _named(row["article_id"], names),
            row["popularity"],
            row["model"],
            count_text(row["rank"]),
            _named(row["similar_article_id"], names),
            figure_text(row["similarity"], 2),
        ]
        for row in ordered.to_dict("records")
    ]
    heads = ["Article", "Popularity", "Model", "Rank", "Neighbour", "Cosine"]
    listed = table("The same in words.", heads, cells, numeric=("Rank", "Cosine"))
    return [paragraph(text), *figures(drawings), details("The neighbours as a table", listed)]


def _named(article: object, names: Mapping[str, object]) -> str:
    name = plain(names.get(str(article)))
    return str(article) if name == NONE else f"{name} ({article})"
