"""Tables of the gates: what tonight's models were measured by, who serves, and how recipes were judged.

What belongs here: measurements against thresholds, and what followed from them. What does not: how good lists were
(:mod:`resources.tables.evaluation`).
"""

from resources.schema import Column, Table
from resources.tables.columns import count, figure, text

GATES = Table(
    "gates",
    "derived",
    "The gates of tonight's models, which have no truth yet: each measurement, its threshold, and whether it passed.",
    key=("model", "gate"),
    upstreams=("recommendations", "complementary_articles", "attribute_metrics", "articles"),
    columns=(
        text("model", "A recommender, `attribute_model` or `outfit_model`."),
        text(
            "gate",
            "What was measured: made (lists are there), finite (weights), on_sale (no list holds an article that cannot"
            " be bought), coverage (of the articles on sale by the lists), moved (of lists, from those of the champion),"
            " index_recall, one_serves (one model's lists are served), prediction_sets, calibration.",
        ),
        figure("value", "What was found; null where it could not be measured."),
        figure("threshold", "What it was compared with; null where it could not be measured."),
        Column("passed", "BOOLEAN", "Whether it passed; what could not be measured for want of data passes."),
        text("said", "The same in a sentence for people."),
    ),
)

CHAMPIONS = Table(
    "champions",
    "derived",
    "Whose results are shown on ds: of each model the bundle that passed the gates last, and what customers are shown.",
    key=("model", "serving"),
    upstreams=("gates",),
    columns=(
        text("model", "A recommender, `attribute_model` or `outfit_model`."),
        Column(
            "serving",
            "BOOLEAN",
            "True for one row of each day: the lists that customers are shown. False: the model's own champion.",
        ),
        text("model_id", "The bundle.", pattern="^[0-9a-f]{32}$"),
        Column("made_on", "DATE", "The day that the bundle was trained for, and whose lists are shown."),
        text("recipe", "The digest of the config and the code by which it was made."),
        text(
            "action",
            "passed: tonight's; kept: tonight's failed, and an earlier one stays; unproven: tonight's failed, and there is"
            " no earlier one to keep.",
            values=("passed", "kept", "unproven"),
        ),
        Column(
            "promotion",
            "BIGINT",
            "Of what customers are shown, the promotion in force on ds, by its number in the table promotions; null where"
            " the settings say which model serves, and of a model's own champion.",
            nullable=True,
        ),
        text("who", "Who decided: `gates`, or who promoted it."),
        text("why", "Why, in a sentence for people."),
    ),
)

RECIPE_GATES = Table(
    "recipe_gates",
    "derived",
    "Recipes (config and code) judged on truth: candidate and champion, both trained up to ds − horizon, on the purchases"
    " of the same customers in (ds − horizon, ds].",
    key=("recipe", "metric"),
    upstreams=("interactions", "articles", "customers", "article_vectors"),
    part="recipe",
    job="recipe_gate",
    columns=(
        text("recipe", "The digest of the candidate's config and code."),
        text("model", "The candidate: a recommender."),
        text("config", "The fields of its config that are not defaults, as JSON."),
        text("code_version", "The code that trained it."),
        text("champion", "The recommender that serves on ds."),
        text("champion_recipe", "The digest of its config and code."),
        Column("origin", "DATE", "The last day that both have seen."),
        text("metric", "By which they are judged."),
        Column("k", "INTEGER", "Length of the lists.", low=1),
        count("customers", "Customers with history who bought something; both are judged on them.", "customers"),
        figure("champion_value", "The champion's mean over the customers."),
        figure("candidate_value", "The candidate's."),
        figure("difference", "candidate − champion."),
        figure("standard_error", "Of the difference.", low=0),
        figure("lower", "The lower end of the 95% interval of the difference; null for fewer than two customers."),
        figure("least", "What the lower end has to lie above: −margin times the champion's value."),
        Column("passed", "BOOLEAN", "Whether the candidate passed."),
        text("reason", "Why, in a sentence for people."),
    ),
)
