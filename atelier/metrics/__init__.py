"""How good recommendations are: accuracy, diversity, by rank, by segment, and whether a difference is real.

What belongs here: measures of lists against what customers did. What does not: making lists, reading the store. The
formulas stand in docs/metrics.md.
"""

from atelier.metrics.accuracy import ACCURACY, per_customer
from atelier.metrics.encoding import PURCHASE, TRAIN_KINDS, MetricsError
from atelier.metrics.evaluate import evaluate
from atelier.metrics.segments import article_segments, customers_with_history
from atelier.metrics.significance import compare, holm

# With fewer evaluated customers than this the figures mean little.
FEW_CUSTOMERS = 200

__all__ = [
    "ACCURACY",
    "FEW_CUSTOMERS",
    "PURCHASE",
    "TRAIN_KINDS",
    "MetricsError",
    "article_segments",
    "compare",
    "customers_with_history",
    "evaluate",
    "holm",
    "per_customer",
]
