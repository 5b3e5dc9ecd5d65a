"""The outlines of garments: what the sample retailer's photographs show, as polygons.

What belongs here: an article's product type, neckline, sleeves, length, fit and heel as outlines in the unit square
(x to the right, y downward). What does not: colours, patterns, pixels (:mod:`~atelier.sources.sample.drawing`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
FIT = {"slim": 0.82, "regular": 1.0, "relaxed": 1.14, "oversized": 1.3}
HEMS = {"Top": 0.6, "T-shirt": 0.62, "Shirt": 0.66, "Knitwear": 0.64, "Jacket": 0.64, "Coat": 0.84, "Dress": 0.8}
_SHOULDER_Y, _SHOULDER_X, _NECK_X = 0.17, 0.17, 0.07
_LARGEST_ZOOM, _FRAME = 1.3, 0.9


@dataclass
class Shape:
    """An outline.

    Attributes:
        body: polygons that are garment.
        cut: polygons taken away from it.
        ink: lines drawn on it, and how thick they are.
    """

    body: list[Points] = field(default_factory=list)
    cut: list[Points] = field(default_factory=list)
    ink: list[tuple[Points, float]] = field(default_factory=list)


def _mirror(points: Points) -> Points:
    """The other side of a figure that is symmetric about x = ½."""
    return np.stack([1.0 - points[:, 0], points[:, 1]], axis=1)


def _polygon(*points: tuple[float, float]) -> Points:
    return np.array(points, dtype=np.float64)


def _ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    angle = np.linspace(0.0, 2 * np.pi, 20, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def outline(kind: str, values: Mapping[str, str]) -> Shape:
    """The outline of an article.

    Args:
        kind: its product type.
        values: its attributes that apply, by name.

    Returns:
        Its outline in the unit square, centred, and enlarged where it is small: by so little that a short hem remains
        shorter than a long one.
    """
    shape = _drawn(kind, values)
    corners = np.concatenate(shape.body)
    low, high = corners.min(axis=0), corners.max(axis=0)
    zoom = min(_LARGEST_ZOOM, _FRAME / float((high - low).max()))

    def framed(points: Points) -> Points:
        return np.asarray((points - (low + high) / 2) * zoom + 0.5)

    return Shape(
        [framed(points) for points in shape.body],
        [framed(points) for points in shape.cut],
        [(framed(points), width * zoom) for points, width in shape.ink],
    )


def _drawn(kind: str, values: Mapping[str, str]) -> Shape:
    """The outline before it is brought into the frame."""
    width = FIT[values.get("fit", "regular")]
    if kind in ("Trousers", "Jeans", "Shorts"):
        return _legs(kind, width)
    if kind == "Skirt":
        return _skirt(values, width)
    if kind in ("Shoes", "Boots"):
        return _footwear(kind, values)
    if kind == "Bag":
        return _bag()
    return _upper(kind, values, width)


def _upper(kind: str, values: Mapping[str, str], width: float) -> Shape:
    """Everything with shoulders: tops, shirts, knitwear, jackets, coats and dresses."""
    hem = HEMS[kind]
    if "length" in values:
        hem = {"short": 0.68, "midi": 0.82, "maxi": 0.95}[values["length"]]
    chest = 0.145 * width
    flare = {"Dress": 0.26, "Coat": 0.19 * width}.get(kind, 0.15 * width)
    waist = 0.12 * width if kind == "Dress" else chest
    shape = Shape(
        body=[
            _polygon(
                (0.5 - _NECK_X, _SHOULDER_Y - 0.03),
                (0.5 + _NECK_X, _SHOULDER_Y - 0.03),
                (0.5 + _SHOULDER_X, _SHOULDER_Y),
                (0.5 + chest, 0.32),
                (0.5 + waist, 0.45),
                (0.5 + flare, hem),
                (0.5 - flare, hem),
                (0.5 - waist, 0.45),
                (0.5 - chest, 0.32),
                (0.5 - _SHOULDER_X, _SHOULDER_Y),
            )
        ]
    )
    _add_sleeves(shape, values.get("sleeve_length", "long"), width)
    _add_neckline(shape, kind, values.get("neckline"))
    if kind in ("Jacket", "Coat", "Shirt"):
        shape.ink.append((_polygon((0.5, 0.2), (0.5, hem)), 0.012))
        shape.ink.append((_polygon((0.44, 0.15), (0.5, 0.27), (0.56, 0.15)), 0.014))
    if kind == "Shirt":
        shape.ink += [(_ellipse(0.515, y, 0.008, 0.008), 0.01) for y in np.arange(0.3, hem - 0.02, 0.08)]
    if kind in ("Jacket", "Coat"):
        shape.ink += [(_polygon((x, 0.53), (x + 0.07, 0.51)), 0.014) for x in (0.38, 0.56)]
    if kind == "Knitwear":
        shape.ink.append((_polygon((0.5 - flare, hem - 0.04), (0.5 + flare, hem - 0.04)), 0.012))
    return shape


def _add_sleeves(shape: Shape, sleeve: str, width: float) -> None:
    """Two sleeves, or none."""
    if sleeve == "sleeveless":
        shape.cut += [hole := _ellipse(0.5 - _SHOULDER_X, 0.235, 0.045, 0.07), _mirror(hole)]
        return
    reach = {"short": 0.42, "long": 1.0}[sleeve]
    x, y = 0.5 - _SHOULDER_X - 0.13 * reach * (0.8 + 0.2 * width), _SHOULDER_Y + 0.42 * reach
    cuff = 0.055 * width
    left = _polygon(
        (0.5 - _SHOULDER_X + 0.02, _SHOULDER_Y - 0.005), (x - cuff / 2, y), (x + cuff, y + 0.02), (0.37, 0.33)
    )
    shape.body += [left, _mirror(left)]


def _add_neckline(shape: Shape, kind: str, neckline: str | None) -> None:
    """Cut the neckline out, or put a collar on."""
    if neckline == "crew":
        shape.cut.append(_ellipse(0.5, 0.135, 0.068, 0.05))
    elif neckline == "v-neck":
        shape.cut.append(_polygon((0.425, 0.1), (0.575, 0.1), (0.5, 0.34)))
    elif neckline == "square":
        shape.cut.append(_polygon((0.41, 0.1), (0.59, 0.1), (0.59, 0.25), (0.41, 0.25)))
    elif neckline == "high neck":
        shape.body.append(_polygon((0.44, 0.06), (0.56, 0.06), (0.57, 0.17), (0.43, 0.17)))
        shape.ink.append((_polygon((0.435, 0.13), (0.565, 0.13)), 0.012))
    elif neckline == "off-shoulder":
        shape.cut.append(_polygon((0.2, 0.08), (0.8, 0.08), (0.8, 0.235), (0.5, 0.255), (0.2, 0.235)))
    elif kind in ("Jacket", "Coat", "Shirt"):
        shape.cut.append(_polygon((0.45, 0.1), (0.55, 0.1), (0.5, 0.2)))


def _legs(kind: str, width: float) -> Shape:
    """Trousers, jeans and shorts."""
    hem = 0.5 if kind == "Shorts" else 0.94
    ankle = (0.09 if kind == "Shorts" else 0.05) * width
    left = _polygon((0.36, 0.1), (0.5, 0.1), (0.5, 0.32), (0.43 + ankle, hem), (0.43 - ankle - 0.03, hem), (0.34, 0.3))
    shape = Shape(body=[left, _mirror(left)], ink=[(_polygon((0.36, 0.145), (0.64, 0.145)), 0.012)])
    shape.ink.append((_polygon((0.5, 0.145), (0.5, 0.3)), 0.012))
    if kind == "Jeans":
        shape.ink += [(pocket := _polygon((0.38, 0.15), (0.4, 0.21), (0.46, 0.22)), 0.014), (_mirror(pocket), 0.014)]
    return shape


def _skirt(values: Mapping[str, str], width: float) -> Shape:
    """A skirt."""
    hem = {"short": 0.5, "midi": 0.72, "maxi": 0.94}[values.get("length", "midi")]
    flare = 0.13 * width + 0.13 * (hem - 0.2)
    body = _polygon((0.38, 0.15), (0.62, 0.15), (0.5 + flare, hem), (0.5 - flare, hem))
    return Shape(body=[body], ink=[(_polygon((0.38, 0.195), (0.62, 0.195)), 0.014)])


def _footwear(kind: str, values: Mapping[str, str]) -> Shape:
    """A shoe or a boot from the side, on its heel."""
    heel = values.get("heel", "flat")
    lift = {"flat": 0.0, "block": 0.1, "stiletto": 0.17}[heel]
    ground = 0.78
    top = 0.22 if kind == "Boots" else 0.5 - lift * 0.6
    body = _polygon(
        (0.2, top),
        (0.42, top),
        (0.45, 0.55 - lift * 0.5),
        (0.72, 0.66),
        (0.86, 0.71),
        (0.88, ground),
        (0.6, ground),
        (0.42, ground - lift),
        (0.18, ground - lift),
    )
    shape = Shape(body=[body], ink=[(_polygon((0.18, ground - lift), (0.42, ground - lift), (0.6, ground)), 0.014)])
    if heel == "block":
        shape.body.append(_polygon((0.18, ground - lift), (0.34, ground - lift), (0.33, ground), (0.19, ground)))
    elif heel == "stiletto":
        shape.body.append(_polygon((0.18, ground - lift), (0.26, ground - lift), (0.215, ground), (0.195, ground)))
    else:
        shape.body.append(
            _polygon((0.17, ground - 0.01), (0.89, ground - 0.01), (0.89, ground + 0.04), (0.17, ground + 0.04))
        )
    return shape


def _bag() -> Shape:
    """A bag with a handle."""
    return Shape(
        body=[_polygon((0.25, 0.42), (0.75, 0.42), (0.82, 0.84), (0.18, 0.84)), _ellipse(0.5, 0.42, 0.19, 0.22)],
        cut=[_polygon(*[(float(x), float(y)) for x, y in _ellipse(0.5, 0.4, 0.145, 0.17) if y < 0.42])],
        ink=[(_polygon((0.24, 0.52), (0.76, 0.52)), 0.014)],
    )
