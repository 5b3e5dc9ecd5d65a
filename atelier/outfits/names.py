"""Names that configs, training and tables of outfit models share.

What belongs here: the values that a field can have. What does not: what they mean in computations. Nothing heavy is
imported.
"""

from typing import Literal, TypeAlias, get_args

Head: TypeAlias = Literal["set", "pair"]
Merge: TypeAlias = Literal["concatenation", "maximum", "minimum", "sum", "mean"]
Modality: TypeAlias = Literal["image", "text", "attributes", "embedding"]
Draw: TypeAlias = Literal["family", "popularity", "random"]
"""Which articles are wrong ones. ``family``: any of the true article's family, all equally likely; ``popularity``: of
the family, by how often they were in outfits of training; ``random``: any article, equally likely."""

MERGES: tuple[Merge, ...] = get_args(Merge)
MODALITIES: tuple[Modality, ...] = get_args(Modality)
FAMILY = "product_family"
"""The column that says of which family an article is, unless a config says otherwise."""
