"""Lineages by hand, for the tests of the page and of the command."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from atelier.attributes.explanation import REMOVALS, Explanation, Removal, WordWeight
from atelier.attributes.lineage import (
    AttributeLineage,
    DayValue,
    PhotographRead,
    TextRead,
    TrainedModel,
    UpstreamRead,
    Writing,
)

DAY = date(2025, 4, 1)
BUNDLE = "0123456789abcdef" * 2
#: A fine-tuned backbone, of an earlier day.
BACKBONE = TrainedModel("image_backbone", "fedcba9876543210" * 2, "2025-03-25", "b0de", 7, {"torch": "2.15.0"}, ())


def explanation(**changes: Any) -> Explanation:
    """The text decides a neckline; one word speaks against it."""
    after = dict(zip(REMOVALS, (0.75, 0.25, 0.875, 0.75, 0.8125, 0.75), strict=True))
    found = Explanation(
        attribute="neckline",
        value="round",
        probability=0.75,
        best="round",
        best_probability=0.75,
        removals=tuple(
            Removal(name, name != "brand", "v" if name == "text" else "round", max(p, 0.5), p, 0.75 - p)
            for name, p in after.items()
        ),
        words=("a", "round", "neck", "a"),
        weights=(
            WordWeight("round", 1, 0.25, 0.5),
            WordWeight("neck", 1, 0.749, 0.001),
            WordWeight("a", 2, 0.875, -0.125),
        ),
        unread=3,
    )
    return replace(found, **changes)


def lineage(**changes: Any) -> AttributeLineage:
    """A predicted neckline with one photograph that is as it was and one that is not."""
    stored = DayValue(DAY, "round", "predicted", 0.75, "round", BUNDLE)
    found = AttributeLineage(
        article_id="a1",
        attribute="neckline",
        stored=stored,
        alternatives=(("round", 0.75), ("v", 0.2)),
        name="Tunic",
        product_type="Top",
        gone_since=None,
        photographs=(
            PhotographRead("d" * 64, 0, "a1_0.jpg", None, True),
            PhotographRead("e" * 64, 1, "a1_1.jpg", "no such file", False),
        ),
        text=TextRead("f" * 64, "A round neck a", True, True),
        model=TrainedModel(
            "attribute_model",
            BUNDLE,
            "2025-04-01",
            "c0de",
            0,
            {"torch": "2.15.0"},
            (UpstreamRead("articles", "1" * 64, True), UpstreamRead("images", "2" * 64, False)),
        ),
        backbone_id=None,
        backbone=None,
        written=Writing("run-1", datetime(2025, 4, 2, 4, 30, tzinfo=UTC), "3" * 64),
        earlier=(DayValue(date(2025, 3, 31), "v", "annotated", 0.5, "round", BUNDLE),),
        computed_from=("articles.name", "images.digest"),
        explanation=explanation(),
        unexplained=None,
        differences=(),
    )
    return replace(found, **changes)


def unpredicted() -> AttributeLineage:
    """An annotation of an attribute that no model predicts."""
    return lineage(
        stored=DayValue(DAY, "odd", "annotated", None, None, None),
        alternatives=(),
        model=None,
        explanation=None,
        unexplained="No model predicted it.",
        photographs=(),
        earlier=(),
    )
