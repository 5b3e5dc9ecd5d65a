"""The vocabulary of the sample retailer: product types, attributes, brands, and the words for them.

What belongs here: constants, and look-ups over them. What does not: anything drawn at random.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

DIVISIONS = ("Womenswear", "Menswear", "Sportswear")
DIVISION_SHARES = (0.58, 0.28, 0.14)


@dataclass(frozen=True)
class ProductType:
    """A kind of garment.

    Attributes:
        name: as it stands in the catalogue.
        group: what a session looks for when it looks for this.
        role: its part in an outfit.
        share: its share of each division's range, in the order of DIVISIONS (normalised later).
        price: the median price.
        peak: the day of the year on which it sells best, and how much the season matters (0…1).
        nouns: what texts call it.
    """

    name: str
    group: str
    role: str
    share: tuple[float, float, float]
    price: float
    peak: tuple[int, float]
    nouns: tuple[str, ...]


TYPES = (
    ProductType("Dress", "dresses", "dress", (16, 0, 2), 42, (180, 0.5), ("dress", "frock", "gown")),
    ProductType("Top", "tops", "top", (13, 3, 12), 19, (190, 0.3), ("top", "blouse", "tunic")),
    ProductType("T-shirt", "tops", "top", (10, 15, 20), 13, (190, 0.3), ("t-shirt", "tee", "jersey top")),
    ProductType("Shirt", "tops", "top", (6, 13, 2), 29, (130, 0.1), ("shirt", "button-down")),
    ProductType("Knitwear", "knitwear", "top", (8, 10, 5), 36, (335, 0.6), ("jumper", "sweater", "knit")),
    ProductType("Jacket", "outerwear", "outer", (5, 8, 10), 65, (290, 0.4), ("jacket", "blazer")),
    ProductType("Coat", "outerwear", "outer", (4, 5, 2), 95, (330, 0.8), ("coat", "overcoat")),
    ProductType("Trousers", "bottoms", "bottom", (9, 12, 14), 34, (270, 0.1), ("trousers", "pants", "slacks")),
    ProductType("Jeans", "bottoms", "bottom", (6, 10, 0), 45, (280, 0.1), ("jeans", "denims")),
    ProductType("Skirt", "bottoms", "bottom", (7, 0, 3), 27, (170, 0.4), ("skirt",)),
    ProductType("Shorts", "bottoms", "bottom", (3, 6, 10), 22, (185, 0.8), ("shorts",)),
    ProductType("Shoes", "shoes", "shoes", (6, 10, 14), 48, (130, 0.2), ("shoes", "footwear")),
    ProductType("Boots", "shoes", "shoes", (3, 4, 0), 78, (310, 0.7), ("boots", "ankle boots")),
    ProductType("Bag", "bags", "bag", (5, 3, 6), 32, (200, 0.1), ("bag", "holdall", "tote")),
)
TYPE_NAMES = tuple(kind.name for kind in TYPES)
GROUPS = tuple(dict.fromkeys(kind.group for kind in TYPES))
ROLES = ("dress", "top", "bottom", "outer", "shoes", "bag")

CLOTHES = frozenset(TYPE_NAMES) - {"Shoes", "Boots", "Bag"}
UPPER = frozenset({"Dress", "Top", "T-shirt", "Knitwear"})


@dataclass(frozen=True)
class Attribute:
    """One attribute of articles.

    Attributes:
        name: as it stands among the annotations.
        types: the product types to which it applies.
        values: its values, and their shares before the product type has its say.
        words: for each value, what texts say for it.
        mentioned: how often a text mentions it.
        missing: how often nobody annotated it, where it applies.
    """

    name: str
    types: frozenset[str]
    values: dict[str, float]
    words: dict[str, tuple[str, ...]]
    mentioned: float
    missing: float

    @property
    def names(self) -> tuple[str, ...]:
        """The values' names, in the order of their codes."""
        return tuple(self.values)


ATTRIBUTES = (
    Attribute(
        "colour",
        frozenset(TYPE_NAMES),
        {
            "black": 18,
            "white": 12,
            "grey": 9,
            "neutral": 9,
            "brown": 6,
            "red": 7,
            "pink": 7,
            "orange": 4,
            "yellow": 4,
            "green": 8,
            "light blue": 6,
            "navy": 7,
            "purple": 4,
        },
        {
            "black": ("black", "jet black", "ebony"),
            "white": ("white", "ivory", "off-white"),
            "grey": ("grey", "charcoal", "silver-toned"),
            "neutral": ("beige", "sand", "oatmeal"),
            "brown": ("brown", "chocolate", "tan"),
            "red": ("red", "scarlet", "crimson"),
            "pink": ("pink", "rose", "blush"),
            "orange": ("orange", "rust", "apricot"),
            "yellow": ("yellow", "mustard", "lemon"),
            "green": ("green", "khaki", "emerald"),
            "light blue": ("light blue", "sky blue", "powder blue"),
            "navy": ("navy", "midnight blue", "dark blue"),
            "purple": ("purple", "lilac", "plum"),
        },
        mentioned=0.5,
        missing=0.105,
    ),
    Attribute(
        "pattern",
        CLOTHES | {"Bag"},
        {"solid": 40, "stripes": 18, "dots": 12, "check": 14, "floral": 16},
        {
            "solid": ("plain", "block-colour"),
            "stripes": ("striped", "pinstriped"),
            "dots": ("spotted", "polka-dot"),
            "check": ("checked", "tartan", "gingham"),
            "floral": ("floral", "flower-print", "botanical"),
        },
        mentioned=0.0,
        missing=0.72,
    ),
    Attribute(
        "neckline",
        UPPER,
        {"crew": 30, "v-neck": 26, "square": 15, "high neck": 17, "off-shoulder": 12},
        {
            "crew": ("crew neck", "round neck"),
            "v-neck": ("v-neckline", "plunging neck"),
            "square": ("square neckline", "straight-cut neckline"),
            "high neck": ("roll neck", "turtleneck", "high collar"),
            "off-shoulder": ("Bardot neckline", "off-the-shoulder cut"),
        },
        mentioned=0.85,
        missing=0.72,
    ),
    Attribute(
        "sleeve_length",
        UPPER | {"Shirt"},
        {"sleeveless": 26, "short": 36, "long": 38},
        {
            "sleeveless": ("sleeveless shape", "bare shoulders", "tank straps"),
            "short": ("short sleeves", "cap sleeves", "half sleeves"),
            "long": ("long sleeves", "full-length sleeves"),
        },
        mentioned=0.6,
        missing=0.72,
    ),
    Attribute(
        "length",
        frozenset({"Dress", "Skirt", "Coat"}),
        {"short": 38, "midi": 36, "maxi": 26},
        {
            "short": ("mini length", "above-the-knee hem", "short hem"),
            "midi": ("midi length", "calf-length hem"),
            "maxi": ("maxi length", "floor-sweeping hem", "ankle-length hem"),
        },
        mentioned=0.5,
        missing=0.72,
    ),
    Attribute(
        "fit",
        CLOTHES - {"Knitwear"},
        {"slim": 26, "regular": 34, "relaxed": 24, "oversized": 16},
        {
            "slim": ("slim fit", "close cut", "body-skimming fit"),
            "regular": ("regular fit", "classic cut"),
            "relaxed": ("relaxed fit", "easy cut", "loose fit"),
            "oversized": ("oversized fit", "boxy cut"),
        },
        mentioned=0.75,
        missing=0.735,
    ),
    Attribute(
        "material",
        frozenset(TYPE_NAMES) - {"Jeans"},
        {"cotton": 26, "polyester": 18, "viscose": 15, "linen": 12, "wool": 14, "leather": 8, "suede": 7},
        {
            "cotton": ("cotton", "organic cotton", "combed cotton"),
            "polyester": ("polyester", "recycled polyester"),
            "viscose": ("viscose", "rayon", "lyocell"),
            "linen": ("linen", "flax weave"),
            "wool": ("wool", "merino", "lambswool"),
            "leather": ("leather", "nappa"),
            "suede": ("suede", "nubuck"),
        },
        mentioned=0.9,
        missing=0.73,
    ),
    Attribute(
        "occasion",
        frozenset(TYPE_NAMES),
        {"everyday": 34, "work": 20, "party": 18, "holiday": 14, "sport": 14},
        {
            "everyday": ("everyday wear", "lazy weekends", "off-duty days"),
            "work": ("the office", "smart meetings", "the working week"),
            "party": ("parties", "evenings out", "dancing till late"),
            "holiday": ("the beach", "summer holidays", "poolside days"),
            "sport": ("training", "the gym", "long runs"),
        },
        mentioned=0.7,
        missing=0.735,
    ),
    Attribute(
        "closure",
        frozenset({"Dress", "Shirt", "Jacket", "Coat", "Trousers", "Shoes", "Boots", "Bag"}),
        {"zip": 38, "buttons": 26, "laces": 12, "buckle": 12, "pull-on": 12},
        {
            "zip": ("zip fastening", "zipped closure"),
            "buttons": ("button fastening", "press studs"),
            "laces": ("lace-up front", "tie fastening"),
            "buckle": ("buckle fastening", "buckled strap"),
            "pull-on": ("pull-on style", "slip-on design"),
        },
        mentioned=0.75,
        missing=0.72,
    ),
    Attribute(
        "heel",
        frozenset({"Shoes", "Boots"}),
        {"flat": 46, "block": 30, "stiletto": 24},
        {
            "flat": ("flat sole", "low profile"),
            "block": ("block heel", "chunky heel"),
            "stiletto": ("stiletto heel", "spike heel"),
        },
        mentioned=0.4,
        missing=0.72,
    ),
    Attribute(
        "embellishment",
        CLOTHES | {"Bag"},
        {"sequins": 40, "embroidery": 35, "fringe": 25},
        {
            "sequins": ("sequins", "beading"),
            "embroidery": ("embroidery", "stitched motifs"),
            "fringe": ("fringe", "tassels"),
        },
        mentioned=0.1,
        missing=0.999,
    ),
)
ATTRIBUTE_NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
"""``mentioned=0``: a pattern stands in photographs only. Material, fit and closure stand in texts only (nothing is
drawn of them but a garment's width); the others in both."""

# What a product type, a division or an occasion makes of a value's share: (attribute, value) → factor.
TYPE_TILTS: dict[str, dict[tuple[str, str], float]] = {
    "Dress": {
        ("material", "leather"): 0.1,
        ("material", "suede"): 0.1,
        ("pattern", "floral"): 2.0,
        ("occasion", "sport"): 0.15,
        ("occasion", "party"): 2.0,
        ("closure", "laces"): 0.3,
    },
    "Top": {("material", "leather"): 0.05, ("material", "suede"): 0.05},
    "T-shirt": {
        ("material", "cotton"): 3.0,
        ("material", "leather"): 0.0,
        ("material", "suede"): 0.0,
        ("material", "wool"): 0.1,
        ("neckline", "off-shoulder"): 0.1,
        ("neckline", "high neck"): 0.2,
        ("occasion", "work"): 0.4,
        ("sleeve_length", "short"): 2.0,
    },
    "Shirt": {
        ("material", "leather"): 0.0,
        ("material", "suede"): 0.1,
        ("pattern", "check"): 2.0,
        ("occasion", "work"): 2.0,
        ("closure", "buttons"): 6.0,
        ("closure", "laces"): 0.1,
        ("closure", "buckle"): 0.0,
        ("sleeve_length", "sleeveless"): 0.2,
    },
    "Knitwear": {
        ("material", "wool"): 4.0,
        ("material", "leather"): 0.0,
        ("material", "suede"): 0.0,
        ("sleeve_length", "long"): 3.0,
        ("sleeve_length", "sleeveless"): 0.4,
    },
    "Jacket": {("material", "leather"): 2.0, ("closure", "zip"): 2.0, ("closure", "laces"): 0.1},
    "Coat": {
        ("material", "wool"): 4.0,
        ("closure", "buttons"): 2.0,
        ("closure", "laces"): 0.0,
        ("colour", "neutral"): 2.0,
        ("occasion", "sport"): 0.3,
        ("occasion", "holiday"): 0.1,
    },
    "Trousers": {("pattern", "floral"): 0.3, ("pattern", "dots"): 0.3, ("closure", "laces"): 0.5},
    "Jeans": {
        ("colour", "navy"): 4.0,
        ("colour", "light blue"): 4.0,
        ("colour", "black"): 1.5,
        ("pattern", "solid"): 8.0,
        ("occasion", "everyday"): 3.0,
        ("occasion", "sport"): 0.1,
    },
    "Shorts": {("occasion", "holiday"): 3.0, ("occasion", "sport"): 2.5, ("occasion", "work"): 0.1},
    "Shoes": {
        ("material", "leather"): 5.0,
        ("material", "suede"): 4.0,
        ("material", "wool"): 0.1,
        ("closure", "laces"): 3.0,
        ("closure", "buttons"): 0.1,
    },
    "Boots": {
        ("material", "leather"): 9.0,
        ("material", "suede"): 7.0,
        ("material", "linen"): 0.0,
        ("closure", "laces"): 2.0,
        ("closure", "buttons"): 0.1,
        ("occasion", "holiday"): 0.1,
    },
    "Bag": {("material", "leather"): 5.0, ("material", "wool"): 0.2, ("closure", "laces"): 0.2},
}
DIVISION_TILTS: dict[str, dict[tuple[str, str], float]] = {
    "Womenswear": {},
    "Menswear": {
        ("neckline", "off-shoulder"): 0.02,
        ("neckline", "square"): 0.1,
        ("pattern", "floral"): 0.4,
        ("pattern", "check"): 1.8,
        ("heel", "stiletto"): 0.0,
        ("heel", "flat"): 3.0,
        ("colour", "pink"): 0.3,
        ("colour", "navy"): 2.0,
        ("colour", "purple"): 0.4,
    },
    "Sportswear": {
        ("occasion", "sport"): 8.0,
        ("occasion", "party"): 0.05,
        ("material", "polyester"): 4.0,
        ("material", "leather"): 0.2,
        ("heel", "stiletto"): 0.0,
        ("heel", "flat"): 8.0,
        ("pattern", "floral"): 0.4,
    },
}

BRANDS = (
    "Alder & Finch",
    "Bluewater",
    "Cassia",
    "Dunmore",
    "Eastline",
    "Fernhill",
    "Glasshouse",
    "Harrow",
    "Isola",
    "Juniper Road",
    "Kestrel",
    "Lumen",
    "Maristow",
    "Northbound",
    "Orla",
    "Pacer",
)
# Which division a brand mostly sells, the occasion it is known for, and how dear it is against the type's median.
BRAND_HOME = (0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 2)
BRAND_OCCASION = (
    "everyday",
    "holiday",
    "party",
    "work",
    "everyday",
    "everyday",
    "party",
    "work",
    "holiday",
    "everyday",
    "sport",
    "party",
    "everyday",
    "sport",
    "work",
    "sport",
)
BRAND_PRICE = (1.0, 0.8, 1.2, 1.4, 0.7, 0.9, 1.6, 1.1, 1.0, 0.8, 1.1, 1.3, 0.9, 1.2, 1.5, 0.7)

# What the annotators' taxonomy of colours was before it changed: values renamed (neutral) and split (blue).
CHANGED_ATTRIBUTE = "colour"
OLD_VALUES = {"neutral": "beige", "light blue": "blue", "navy": "blue"}


@cache
def applicability() -> NDArray[np.bool_]:
    """Bool [types, attributes]: whether the attribute applies to the product type."""
    return np.array([[kind.name in attribute.types for attribute in ATTRIBUTES] for kind in TYPES])


def attribute(name: str) -> Attribute:
    """The attribute of that name.

    Raises:
        ValueError: there is none.
    """
    return ATTRIBUTES[ATTRIBUTE_NAMES.index(name)]
