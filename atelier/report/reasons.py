"""Reasons of a recommendation in words.

What belongs here: what a reason is called, on the page and in the terminal. What does not: computing reasons
(:mod:`atelier.recommenders`), laying them out (:mod:`atelier.report.recommendations`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

BLOCKS = {
    "image": "its photograph",
    "price": "its price",
    "recency": "how long it has been on sale",
    "popularity": "how much it sells",
}
"""What a reason is called that is a whole block of the article's vector."""
SOURCES = {
    "own": "because it is among what you chose last",
    "style": "because you chose another colour of it",
    "together": "because others chose it with what you chose",
    "popular": "because it sells",
    "popular_age": "because it sells to people of your age",
    "neighbours": "because it is new and like what you chose",
}
"""What a source of candidates is called; the recommenders and the windows of sales are made up from their names."""
FEATURES = {
    "own_days": "when you last chose it",
    "own_times": "how often you chose it",
    "own_distinct_days": "on how many days you chose it",
    "own_not_bought": "how often you showed interest in it without buying it",
    "own_share": "how large a part of your choices it is",
    "own_last_day": "how often you chose it that last day",
    "style_days": "when you last chose its style",
    "style_times": "how often you chose its style",
    "type_days": "when you last chose its type",
    "type_times": "how often you chose its type",
    "type_share": "how large a part of your choices its type is",
    "customer_times": "how often you choose",
    "customer_articles": "how many articles you chose",
    "customer_days": "when you last chose anything",
    "customer_since": "how long you have been a customer",
    "customer_active_days": "on how many days you chose something",
    "sources": "how many sources list it",
    "trend": "how its sales change",
    "type_sold": "how its type sells",
    "share_of_type": "its part of its type's sales",
    "sold_in_age_group": "how it sells to people of your age",
    "sold_in_channels": "how it sells where you buy",
    "first_sold_days": "how long ago it was first sold",
    "last_sold_days": "how long ago it was last sold",
    "price": "its price",
    "price_against_own": "its price beside what you pay",
    "repurchase": "how often people choose it again",
    "type_repurchase": "how often people choose its type again",
    "content_mean": "how like all you chose it is",
    "content_nearest": "how like one article that you chose it is",
}
"""What a feature of a ranking is called; those of sales windows are made up from their names."""
WITHOUT_REASONS = (
    "No reasons were made for this list: some models, such as popular, give none. Where a model is not served, reasons "
    "are made for a part of the judged customers only (explained_sample); where lists leave out what a customer has, "
    "none are made for the lists that do not, and the other way round."
)


def are_without_reasons(lists: "pd.DataFrame") -> bool:
    """Whether no place of some lists has a reason, and none of the lists is served.

    Args:
        lists: served, reasons (a list of kind, value and weight, or null).
    """
    return not (lists["served"].any() or lists["reasons"].str.len().gt(0).any())


def sentences(article: str, reasons: Sequence[Mapping[str, Any]], name_of: Callable[[str], str]) -> list[str]:
    """The reasons of an article in words: one line for the articles of the history, one for each other reason.

    Args:
        article: what is recommended.
        reasons: each of kind, value and weight, the strongest first.
        name_of: the name of an article.
    """
    own = [str(reason["value"]) for reason in reasons if reason["kind"] == "article"]
    chosen = ["it before" if other == article else f"{name_of(other)} ({other})" for other in own]
    lines = [f"because you chose {' and '.join(chosen)}"] if chosen else []
    said = {"attribute": _attribute, "source": _source, "feature": _feature}
    return lines + [said[reason["kind"]](str(reason["value"])) for reason in reasons if reason["kind"] in said]


def _attribute(value: str) -> str:
    name, separator, said = value.partition("=")
    if not separator:
        return f"because of {BLOCKS.get(value, value)}"
    return f"because its text says “{said}”" if name == "text" else f"because {_spaced(name)} = {said}"


def _source(value: str) -> str:
    """``popular_7`` is the window of seven days; any name that is no source's is a recommender's."""
    window, days = value.partition("popular_")[::2]
    if not window and days.isdecimal():
        return f"because it sold most {_last_days(days)}"
    return SOURCES.get(value, f"because {value} lists it")


def _feature(value: str) -> str:
    window, days = value.partition("sold_")[::2]
    if not window and days.isdecimal():
        return f"because of how it sold {_last_days(days)}"
    return f"because of {FEATURES.get(value, _spaced(value))}"


def _last_days(days: str) -> str:
    return "on the last day" if days == "1" else f"in the last {days} days"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
