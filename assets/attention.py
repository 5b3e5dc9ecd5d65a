"""What models that attend to histories looked at, for the page and the command.

What belongs here: asking a stored model. What does not: the attention
(:meth:`atelier.recommenders.sequential.transformer.Transformer.attention`), how it is shown
(:mod:`atelier.report.recommendations`).
"""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from atelier.errors import BundleError
from resources.model_store import ModelStore

if TYPE_CHECKING:
    import pandas as pd

MODEL = "transformer"


def attention_of(models: ModelStore, day: date, customers: Collection[str]) -> "pd.DataFrame | None":
    """What the transformer of a day looked at: model, customer_id, article_id, position, share.

    Args:
        models: where it is stored.
        day: its day.
        customers: of whom; those that it does not serve are left out.

    Returns:
        None where no such model is stored, or it serves none of them.

    Raises:
        BundleError: the stored model is damaged.
    """
    from atelier import recommenders
    from atelier.recommenders.sequential.transformer import Transformer

    name = f"{MODEL}_model"
    if day not in models.days(name):
        return None
    model = recommenders.load(models.bundle(name, models.pointer(name, day)).path)
    if not isinstance(model, Transformer):
        raise BundleError(f"{name} of {day} is a {model.name}: run daily_retrain for that day again")
    asked = sorted(customers)
    served = [customer for customer, can in zip(asked, model.can_serve(asked), strict=True) if can] if asked else []
    return model.attention(served).assign(model=MODEL) if served else None
