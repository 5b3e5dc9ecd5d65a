"""Tables of what a business asks for: customers, revenue, conversion, retention, sales by attribute value.

What belongs here: figures of behaviour itself. What does not: how good models are (:mod:`resources.tables.evaluation`).
"""

from resources.schema import Column, Table
from resources.tables.columns import count, figure, money, share, text

WHO, KIND, PRICE = "interactions.customer_id", "interactions.kind", "interactions.price"
REVENUE = "DECIMAL(38,9)"


def _share(name: str, description: str) -> Column:
    """A share that is null where what it is a share of is empty or not known."""
    return share(name, description, WHO, KIND, nullable=True)


BUSINESS_FIGURES = Table(
    "business_figures",
    "derived",
    "What a business asks for, of windows that end with ds and with each of the 28 days before it, as known on ds. A window"
    " of which a day is not stored has no row.",
    key=("day", "window_days"),
    may_have_no_rows=True,  # a day without stored interactions ends no window
    upstreams=("interactions",),
    columns=(
        Column("day", "DATE", "The last day of the window; ds or one of the 28 days before it."),
        Column("window_days", "INTEGER", "Length of the window: 1, 7 or 28.", "days", low=1),
        count("views", "Views.", "views", KIND),
        count("purchases", "Units bought; returns are not subtracted.", "units", KIND),
        count("returns", "Units sent back.", "units", KIND),
        money(
            "revenue",
            "Sum of the prices paid, returns not subtracted; null where units were bought and no price is known.",
            PRICE,
            kind=REVENUE,
            nullable=True,
        ),
        count("active_customers", "Customers who did anything but send back.", "customers", WHO, KIND),
        count("buyers", "Customers who bought.", "customers", WHO, KIND),
        money(
            "revenue_per_customer",
            "revenue over active_customers; null where nobody was active.",
            PRICE,
            WHO,
            kind="DOUBLE",
            nullable=True,
        ),
        figure(
            "revenue_per_customer_error",
            "Its standard error over customers; null on days before ds, and below two customers.",
            low=0,
        ),
        count("viewed_articles", "Pairs of a customer and an article that they viewed.", "pairs", WHO, KIND),
        count(
            "bought_after_view",
            "Those of the pairs whose article the customer bought on the day of a view or later in the window.",
            "pairs",
            WHO,
            KIND,
        ),
        _share("conversion", "bought_after_view over viewed_articles: view-to-purchase conversion."),
        _share("conversion_low", "Lower end of its 95% interval, in which each customer who viewed counts once."),
        _share("conversion_high", "Upper end."),
        count(
            "earlier_customers",
            "Customers who were active in the window of equal length before this one; null where it is not stored whole.",
            "customers",
            WHO,
            nullable=True,
        ),
        count("retained_customers", "Those of them who are active in this one.", "customers", WHO, nullable=True),
        _share("retention", "retained_customers over earlier_customers."),
        _share("retention_low", "Lower end of its 95% interval."),
        _share("retention_high", "Upper end."),
        _share("churn", "1 − retention: who was active in the window before and is not in this one."),
    ),
)


ATTRIBUTE_SALES = Table(
    "attribute_sales",
    "derived",
    "Units sold by attribute value in the week that ends with ds, beside a seasonal-naive forecast and its error on past"
    " weeks. An article counts under each of its attributes.",
    key=("attribute", "value"),
    may_have_no_rows=True,
    upstreams=("interactions", "predicted_attributes"),
    columns=(
        text("attribute", "The attribute.", "predicted_attributes.attribute"),
        text("value", "The value, as it is known on ds, whenever the article was sold.", "predicted_attributes.value"),
        count(
            "units",
            "Units sold in the 7 days up to ds; null where one of them is not stored.",
            "units",
            KIND,
            nullable=True,
        ),
        money("revenue", "Sum of the prices paid; null where none is known.", PRICE, kind=REVENUE, nullable=True),
        count(
            "abstained_units",
            "Those of the units whose article's value the model left open, so that it is only the most probable.",
            "units",
            "predicted_attributes.source",
            nullable=True,
        ),
        count(
            "forecast",
            "What was forecast for this week: the units of the week one season earlier; null where it is not stored.",
            "units",
            KIND,
            nullable=True,
        ),
        count("next_forecast", "The same for the 7 days after ds.", "units", KIND, nullable=True),
        Column(
            "season_weeks",
            "INTEGER",
            "The season: 52 where last year's weeks are stored, else 1, which repeats the week before.",
            "weeks",
            low=1,
        ),
        count("error_weeks", "Weeks on which the forecast's error was measured, this one among them.", "weeks"),
        figure("mae", "Mean absolute error of the forecast on these weeks, in units.", low=0),
        figure(
            "mase",
            "mae over that of repeating the week before, on the same weeks; 1 by definition where season_weeks is 1.",
            low=0,
        ),
        Column(
            "past_units",
            "BIGINT[]",
            "Units of the 8 weeks before this one, the oldest first; null for a week that is not stored whole.",
            lineage=(KIND,),
        ),
    ),
)
