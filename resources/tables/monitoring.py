"""Tables of what is watched from day to day.

What belongs here: figures of a day, and which of them are unusual. What does not: how good models are
(:mod:`resources.tables.evaluation`).
"""

from resources.schema import Column, Table
from resources.tables.columns import count, figure, share, text

MEASURED = (
    "articles",
    "customers",
    "interactions",
    "annotated_attributes",
    "images",
    "image_embeddings",
    "predicted_attributes",
    "article_features",
    "customer_features",
    "recommendations",
)

DAY_FIGURES = Table(
    "day_figures",
    "derived",
    "Figures of the data and the lists of ds, each with the number of rows that it comes from: what drift is judged on.",
    key=("name", "level"),
    upstreams=MEASURED,
    columns=(
        text("name", "The figure, beginning with its table, for example `articles: price changed`."),
        text("kind", "How it is compared.", values=("count", "share", "mean", "shares", "times", "projections")),
        text(
            "level",
            "The level, half hour of the day (00 to 47) or direction, of figures that have several; else empty.",
        ),
        figure("value", "How many rows there are, are marked, or have the level; or the mean."),
        Column("variance", "DOUBLE", "Of means the variance of one row; else 0.", low=0),
        count("sample_size", "Rows that it comes from.", "rows"),
        text("made_from", "A digest of the partitions and the code that it was measured from."),
    ),
)


DRIFT = Table(
    "drift",
    "derived",
    "Every figure of ds against yesterday and the same weekday one and two weeks ago, and whether it is unusual.",
    key=("name",),
    upstreams=MEASURED,
    columns=(
        text("name", "The figure, as in day_figures."),
        text(
            "verdict",
            "flagged: unusual against each of the earlier days; usual; too few days: there is not enough to tell.",
            values=("flagged", "usual", "too few days"),
        ),
        figure("statistic", "χ² / df over the ordinary dispersion, of the least unusual comparison.", low=0),
        figure(
            "threshold", "The statistic above which the figure is flagged, where the effect is large enough.", low=0
        ),
        share("p_value", "By the F distribution.", nullable=True),
        share("p_holm", "The same, Holm-corrected for all figures of the day.", nullable=True),
        figure(
            "effect",
            "The size of the difference: relative, a share, in standard deviations, or of times of day in hours.",
            low=0,
        ),
        figure("least_effect", "The size below which nothing is flagged.", low=0),
        count("sample_size", "Rows of the smaller of the two samples.", "rows"),
        count("days", "Earlier days that say how far days ordinarily differ.", "days"),
        Column("compared_with", "DATE", "The earlier day of that comparison.", nullable=True),
        text("level", "Of a figure with several levels the one that moved farthest; else empty."),
        figure("today", "The value, or that level's share."),
        figure("earlier", "The same on the earlier day."),
    ),
)
