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
        vocabulary: its values; for each its share before the product type changes it, and what texts call it.
        mentioned: the share of texts that mention it.
        missing: the share of articles to which it applies that nobody annotated with it.
    """

    name: str
    types: frozenset[str]
    vocabulary: dict[str, tuple[float, tuple[str, ...]]]
    mentioned: float
    missing: float

    @property
    def names(self) -> tuple[str, ...]:
        """The values' names, in the order of their codes."""
        return tuple(self.vocabulary)

    @property
    def shares(self) -> list[float]:
        """The values' shares, in the order of their codes."""
        return [share for share, _ in self.vocabulary.values()]

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """What texts call each value."""
        return {name: words for name, (_, words) in self.vocabulary.items()}


ATTRIBUTES = (
    Attribute(
        "colour",
        frozenset(TYPE_NAMES),
        {
            "black": (18, ("black", "jet black", "ebony")),
            "white": (12, ("white", "ivory", "off-white")),
            "grey": (9, ("grey", "charcoal", "silver-toned")),
            "neutral": (9, ("beige", "sand", "oatmeal")),
            "brown": (6, ("brown", "chocolate", "tan")),
            "red": (7, ("red", "scarlet", "crimson")),
            "pink": (7, ("pink", "rose", "blush")),
            "orange": (4, ("orange", "rust", "apricot")),
            "yellow": (4, ("yellow", "mustard", "lemon")),
            "green": (8, ("green", "khaki", "emerald")),
            "light blue": (6, ("light blue", "sky blue", "powder blue")),
            "navy": (7, ("navy", "midnight blue", "dark blue")),
            "purple": (4, ("purple", "lilac", "plum")),
        },
        mentioned=0.5,
        missing=0.105,
    ),
    Attribute(
        "pattern",
        CLOTHES | {"Bag"},
        {
            "solid": (40, ("plain", "block-colour")),
            "stripes": (18, ("striped", "pinstriped")),
            "dots": (12, ("spotted", "polka-dot")),
            "check": (14, ("checked", "tartan", "gingham")),
            "floral": (16, ("floral", "flower-print", "botanical")),
        },
        mentioned=0.0,
        missing=0.72,
    ),
    Attribute(
        "neckline",
        UPPER,
        {
            "crew": (30, ("crew neck", "round neck")),
            "v-neck": (26, ("v-neckline", "plunging neck")),
            "square": (15, ("square neckline", "straight-cut neckline")),
            "high neck": (17, ("roll neck", "turtleneck", "high collar")),
            "off-shoulder": (12, ("Bardot neckline", "off-the-shoulder cut")),
        },
        mentioned=0.85,
        missing=0.72,
    ),
    Attribute(
        "sleeve_length",
        UPPER | {"Shirt"},
        {
            "sleeveless": (26, ("sleeveless shape", "bare shoulders", "tank straps")),
            "short": (36, ("short sleeves", "cap sleeves", "half sleeves")),
            "long": (38, ("long sleeves", "full-length sleeves")),
        },
        mentioned=0.6,
        missing=0.72,
    ),
    Attribute(
        "length",
        frozenset({"Dress", "Skirt", "Coat"}),
        {
            "short": (38, ("mini length", "above-the-knee hem", "short hem")),
            "midi": (36, ("midi length", "calf-length hem")),
            "maxi": (26, ("maxi length", "floor-sweeping hem", "ankle-length hem")),
        },
        mentioned=0.5,
        missing=0.72,
    ),
    Attribute(
        "fit",
        CLOTHES - {"Knitwear"},
        {
            "slim": (26, ("slim fit", "close cut", "body-skimming fit")),
            "regular": (34, ("regular fit", "classic cut")),
            "relaxed": (24, ("relaxed fit", "easy cut", "loose fit")),
            "oversized": (16, ("oversized fit", "boxy cut")),
        },
        mentioned=0.75,
        missing=0.735,
    ),
    Attribute(
        "material",
        frozenset(TYPE_NAMES) - {"Jeans"},
        {
            "cotton": (26, ("cotton", "organic cotton", "combed cotton")),
            "polyester": (18, ("polyester", "recycled polyester")),
            "viscose": (15, ("viscose", "rayon", "lyocell")),
            "linen": (12, ("linen", "flax weave")),
            "wool": (14, ("wool", "merino", "lambswool")),
            "leather": (8, ("leather", "nappa")),
            "suede": (7, ("suede", "nubuck")),
        },
        mentioned=0.9,
        missing=0.73,
    ),
    Attribute(
        "occasion",
        frozenset(TYPE_NAMES),
        {
            "everyday": (34, ("everyday wear", "lazy weekends", "off-duty days")),
            "work": (20, ("the office", "smart meetings", "the working week")),
            "party": (18, ("parties", "evenings out", "dancing till late")),
            "holiday": (14, ("the beach", "summer holidays", "poolside days")),
            "sport": (14, ("training", "the gym", "long runs")),
        },
        mentioned=0.7,
        missing=0.735,
    ),
    Attribute(
        "closure",
        frozenset({"Dress", "Shirt", "Jacket", "Coat", "Trousers", "Shoes", "Boots", "Bag"}),
        {
            "zip": (38, ("zip fastening", "zipped closure")),
            "buttons": (26, ("button fastening", "press studs")),
            "laces": (12, ("lace-up front", "tie fastening")),
            "buckle": (12, ("buckle fastening", "buckled strap")),
            "pull-on": (12, ("pull-on style", "slip-on design")),
        },
        mentioned=0.75,
        missing=0.72,
    ),
    Attribute(
        "heel",
        frozenset({"Shoes", "Boots"}),
        {
            "flat": (46, ("flat sole", "low profile")),
            "block": (30, ("block heel", "chunky heel")),
            "stiletto": (24, ("stiletto heel", "spike heel")),
        },
        mentioned=0.4,
        missing=0.72,
    ),
    Attribute(
        "embellishment",
        CLOTHES | {"Bag"},
        {
            "sequins": (40, ("sequins", "beading")),
            "embroidery": (35, ("embroidery", "stitched motifs")),
            "fringe": (25, ("fringe", "tassels")),
        },
        mentioned=0.1,
        missing=0.999,
    ),
)
VALUE_COUNTS = np.array([len(attribute.names) for attribute in ATTRIBUTES])
ATTRIBUTE_NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
"""``mentioned=0``: a pattern stands in photographs only. Material, fit and closure stand in texts only (nothing is
drawn of them but a garment's width); the others in both."""

# What a product type, a division or an occasion makes of a value's share: attribute → value → factor.
TYPE_TILTS: dict[str, dict[str, dict[str, float]]] = {
    "Dress": {
        "material": {"leather": 0.1, "suede": 0.1},
        "pattern": {"floral": 2.0},
        "occasion": {"sport": 0.15, "party": 2.0},
        "closure": {"laces": 0.3},
    },
    "Top": {"material": {"leather": 0.05, "suede": 0.05}},
    "T-shirt": {
        "material": {"cotton": 3.0, "leather": 0.0, "suede": 0.0, "wool": 0.1},
        "neckline": {"off-shoulder": 0.1, "high neck": 0.2},
        "occasion": {"work": 0.4},
        "sleeve_length": {"short": 2.0},
    },
    "Shirt": {
        "material": {"leather": 0.0, "suede": 0.1},
        "pattern": {"check": 2.0},
        "occasion": {"work": 2.0},
        "closure": {"buttons": 6.0, "laces": 0.1, "buckle": 0.0},
        "sleeve_length": {"sleeveless": 0.2},
    },
    "Knitwear": {
        "material": {"wool": 4.0, "leather": 0.0, "suede": 0.0},
        "sleeve_length": {"long": 3.0, "sleeveless": 0.4},
    },
    "Jacket": {"material": {"leather": 2.0}, "closure": {"zip": 2.0, "laces": 0.1}},
    "Coat": {
        "material": {"wool": 4.0},
        "closure": {"buttons": 2.0, "laces": 0.0},
        "colour": {"neutral": 2.0},
        "occasion": {"sport": 0.3, "holiday": 0.1},
    },
    "Trousers": {"pattern": {"floral": 0.3, "dots": 0.3}, "closure": {"laces": 0.5}},
    "Jeans": {
        "colour": {"navy": 4.0, "light blue": 4.0, "black": 1.5},
        "pattern": {"solid": 8.0},
        "occasion": {"everyday": 3.0, "sport": 0.1},
    },
    "Shorts": {"occasion": {"holiday": 3.0, "sport": 2.5, "work": 0.1}},
    "Shoes": {"material": {"leather": 5.0, "suede": 4.0, "wool": 0.1}, "closure": {"laces": 3.0, "buttons": 0.1}},
    "Boots": {
        "material": {"leather": 9.0, "suede": 7.0, "linen": 0.0},
        "closure": {"laces": 2.0, "buttons": 0.1},
        "occasion": {"holiday": 0.1},
    },
    "Bag": {"material": {"leather": 5.0, "wool": 0.2}, "closure": {"laces": 0.2}},
}
DIVISION_TILTS: dict[str, dict[str, dict[str, float]]] = {
    "Womenswear": {},
    "Menswear": {
        "neckline": {"off-shoulder": 0.02, "square": 0.1},
        "pattern": {"floral": 0.4, "check": 1.8},
        "heel": {"stiletto": 0.0, "flat": 3.0},
        "colour": {"pink": 0.3, "navy": 2.0, "purple": 0.4},
    },
    "Sportswear": {
        "occasion": {"sport": 8.0, "party": 0.05},
        "material": {"polyester": 4.0, "leather": 0.2},
        "heel": {"stiletto": 0.0, "flat": 8.0},
        "pattern": {"floral": 0.4},
    },
}

# Each brand with the division that it mostly sells, the occasion it is known for, and its price level relative to the
# median of the product type.
_BRANDS = (
    ("Alder & Finch", 0, "everyday", 1.0),
    ("Bluewater", 0, "holiday", 0.8),
    ("Cassia", 0, "party", 1.2),
    ("Dunmore", 1, "work", 1.4),
    ("Eastline", 1, "everyday", 0.7),
    ("Fernhill", 0, "everyday", 0.9),
    ("Glasshouse", 0, "party", 1.6),
    ("Harrow", 1, "work", 1.1),
    ("Isola", 0, "holiday", 1.0),
    ("Juniper Road", 0, "everyday", 0.8),
    ("Kestrel", 2, "sport", 1.1),
    ("Lumen", 0, "party", 1.3),
    ("Maristow", 1, "everyday", 0.9),
    ("Northbound", 2, "sport", 1.2),
    ("Orla", 0, "work", 1.5),
    ("Pacer", 2, "sport", 0.7),
)
BRANDS = tuple(name for name, _, _, _ in _BRANDS)
BRAND_HOME = tuple(division for _, division, _, _ in _BRANDS)
BRAND_OCCASION = tuple(occasion for _, _, occasion, _ in _BRANDS)
BRAND_PRICE = tuple(price for _, _, _, price in _BRANDS)

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
