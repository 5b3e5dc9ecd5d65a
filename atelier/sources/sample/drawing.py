"""The photographs of the sample retailer, drawn.

What belongs here: planning shots, colouring outlines, the files, and the table `images` on a day. What does not: the
outlines (:mod:`~atelier.sources.sample.shapes`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from atelier.progress import progress
from atelier.sources.sample import shapes, taxonomy
from atelier.sources.sample.catalogue import Articles, Codes, numbered
from atelier.sources.sample.config import SampleConfig

SHOTS = (0.2, 0.32, 0.28, 0.2)  # share of articles with 1, 2, 3, 4 photographs
SECOND_GARMENT = 0.25  # share of the photographs after the first that show another garment as well
SUPERSAMPLING = 2
JPEG_QUALITY = 88
PHOTOGRAPHS = 1_000  # the stream of random numbers of photographs: each has one of its own
_RGB = {
    "black": (28, 28, 30),
    "white": (244, 243, 238),
    "grey": (135, 137, 140),
    "neutral": (212, 190, 152),
    "brown": (105, 68, 42),
    "red": (190, 30, 40),
    "pink": (238, 150, 178),
    "orange": (226, 118, 38),
    "yellow": (240, 205, 60),
    "green": (52, 118, 66),
    "light blue": (140, 190, 228),
    "navy": (28, 42, 92),
    "purple": (118, 66, 140),
}
_PETALS = np.array([(236, 96, 110), (250, 214, 90), (246, 246, 246), (96, 150, 220)], dtype=np.float64)
Pixels = NDArray[np.float64]


@dataclass(frozen=True)
class Photographs:
    """The photographs to take; arrays of length n, sorted by article and shot.

    Attributes:
        articles: index of the article.
        shots: number among the article's photographs, from 0.
        second: index of another article that is in the picture; −1 for none.
    """

    articles: Codes
    shots: Codes
    second: Codes


class Pose(NamedTuple):
    """Where a garment is in the picture, in units of its side: turned and scaled about the middle, then shifted."""

    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]


def plan_shots(articles: Articles, rng: np.random.Generator) -> Photographs:
    """Decide how many photographs each article gets, and which show a second garment."""
    counts = 1 + rng.choice(len(SHOTS), p=SHOTS, size=len(articles))
    rows = np.repeat(np.arange(len(articles)), counts)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    other = rng.integers(0, len(articles), size=len(rows))
    shown = (nth > 0) & (rng.random(len(rows)) < SECOND_GARMENT) & (other != rows)
    return Photographs(rows, nth, np.where(shown, other, -1))


def snapshot(articles: Articles, shots: Photographs | None, day: int) -> pa.Table:
    """The listing of photographs of what has been launched by a day: article_id, shot, path (below photographs/)."""
    ids, numbers = articles.ids[:0], np.zeros(0, dtype=np.int64)
    if shots is not None:
        rows = np.flatnonzero(articles.launched[shots.articles] <= day)
        ids, numbers = articles.ids[shots.articles[rows]], shots.shots[rows]
    return pa.table(
        {
            "article_id": pa.array(ids, pa.string()),
            "shot": pa.array(numbers.astype(np.int32)),
            "path": _file_names(ids, numbers),
        }
    )


def _file_names(ids: NDArray[np.str_], numbers: Codes) -> Any:
    """Arrow strings: the file of each photograph."""
    return pc.binary_join_element_wise(pa.array(ids, pa.string()), numbered("_", numbers, 1), pa.scalar(".jpg"), "")


def draw_photographs(folder: Path, config: SampleConfig, articles: Articles, shots: Photographs) -> None:
    """Draw every photograph into a folder. Each has random numbers of its own.

    Args:
        folder: where the files go; made where absent.
        config: the seed and the size.
        articles: the catalogue.
        shots: what to draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = _file_names(articles.ids[shots.articles], shots.shots).to_pylist()
    for row in progress(range(len(names)), "sample retailer: photographs", unit="photograph"):
        rng = np.random.default_rng([config.seed, PHOTOGRAPHS, row])
        article, second = int(shots.articles[row]), int(shots.second[row])
        image = photograph(articles, article, rng, config.image_size, plain=shots.shots[row] == 0, second=second)
        image.save(folder / names[row], quality=JPEG_QUALITY)


def photograph(
    articles: Articles, article: int, rng: np.random.Generator, size: int, *, plain: bool, second: int = -1
) -> Image.Image:
    """Draw one photograph.

    Args:
        articles: the catalogue.
        article: index of the article shown.
        rng: where chance comes from: background, angle, shade, noise.
        size: width and height in pixels.
        plain: whether it is the plain shot from the front.
        second: index of a garment that is partly in the picture; −1 for none.

    Returns:
        An RGB image.
    """
    canvas = _background(rng, size, plain)
    angle = rng.normal(0.0, 2.0 if plain else 6.0)
    scale = rng.uniform(0.92, 1.0) if plain else rng.uniform(0.72, 1.02)
    shift = rng.normal(0.0, 0.01 if plain else 0.03, size=2)
    if second >= 0:
        side = rng.choice([-1.0, 1.0])
        beside = _pose(0.55, rng.normal(0, 8), np.array([side * 0.3, rng.uniform(0.0, 0.22)]))
        _put(canvas, articles, second, rng, beside)
        scale, shift = scale * 0.85, shift + np.array([-side * 0.12, 0.0])
    _put(canvas, articles, article, rng, _pose(scale, angle, shift))
    canvas += rng.normal(0.0, rng.uniform(2.0, 7.0), size=canvas.shape)
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8), "RGB")


def values_of(articles: Articles, article: int) -> Mapping[str, str]:
    """An article's attributes that apply, by name."""
    codes = articles.attributes[article]
    return {a.name: a.names[code] for a, code in zip(taxonomy.ATTRIBUTES, codes, strict=True) if code >= 0}


def _background(rng: np.random.Generator, size: int, plain: bool) -> Pixels:
    """Float [size, size, 3]: a studio's white, or a tinted wall with a floor."""
    if plain:
        return np.full((size, size, 3), rng.uniform(228, 250)) + rng.normal(0, 2, size=3)
    wall, floor = rng.uniform(150, 245, size=3), rng.uniform(120, 225, size=3)
    wall, floor = (0.4 * colour + 0.6 * colour.mean() for colour in (wall, floor))
    down = np.arange(size)[:, None, None] / size
    horizon = rng.uniform(0.7, 1.2)
    return np.asarray(np.where(down < horizon, wall * (1.05 - 0.15 * down), floor) * np.ones((size, size, 1)))


def _pose(scale: float, angle: float, shift: NDArray[np.float64]) -> Pose:
    """The pose of a garment that is scaled, turned by an angle in degrees, and then shifted."""
    turn = np.deg2rad(angle)
    return Pose(scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]), shift)


def _put(canvas: Pixels, articles: Articles, article: int, rng: np.random.Generator, pose: Pose) -> None:
    """Draw a garment onto the canvas, in place."""
    values = values_of(articles, article)
    mask, ink = _masks(shapes.outline(taxonomy.TYPE_NAMES[articles.types[article]], values), pose, len(canvas))
    canvas += mask[:, :, None] * (_cloth(values, rng, pose, len(canvas)) - canvas)
    canvas *= 1.0 - 0.55 * (ink * mask)[:, :, None]


def _masks(shape: shapes.Shape, pose: Pose, size: int) -> tuple[Pixels, Pixels]:
    """Float [size, size] twice, 0…1: where the garment is, and where lines are drawn on it."""
    large = size * SUPERSAMPLING

    def place(points: NDArray[np.float64]) -> list[tuple[float, float]]:
        moved = ((points - 0.5) @ pose.rotation.T + 0.5 + pose.shift) * large
        return [(float(x), float(y)) for x, y in moved]

    mask, ink = Image.new("L", (large, large)), Image.new("L", (large, large))
    draw, pen = ImageDraw.Draw(mask), ImageDraw.Draw(ink)
    for points in shape.body:
        draw.polygon(place(points), fill=255)
        pen.line(place(np.concatenate([points, points[:1]])), fill=90, width=max(int(0.008 * large), 1))
    for points in shape.cut:
        draw.polygon(place(points), fill=0)
    for points, width in shape.ink:
        pen.line(place(points), fill=255, width=max(int(width * large), 1))
    return _shrunk(mask), _shrunk(ink)


def _shrunk(image: Image.Image) -> Pixels:
    """Float [size, size], 0…1: an image brought back to its size from the larger one that it was drawn in."""
    return np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float64) / 255.0


def _cloth(values: Mapping[str, str], rng: np.random.Generator, pose: Pose, size: int) -> Pixels:
    """Float [size, size, 3]: the material everywhere, in the garment's own coordinates."""
    base = np.array(_RGB[values["colour"]], dtype=np.float64) + rng.normal(0, 9, size=3)
    dark = base.mean() < 120
    second = base + (np.array([150.0, 150, 145]) if dark else np.array([-130.0, -130, -120]))
    grid = (np.arange(size) + 0.5) / size
    points = np.stack(np.meshgrid(grid, grid), axis=-1) - 0.5 - pose.shift
    x, y = np.moveaxis(points @ np.linalg.inv(pose.rotation).T, -1, 0)
    weight = _pattern(values.get("pattern", "solid"), rng, x, y)
    cloth: Pixels = base + weight[:, :, None] * (second - base)
    if values.get("pattern") == "floral":
        petals = _PETALS[rng.integers(0, len(_PETALS))]
        cloth = base + weight[:, :, None] * (petals - base)
    light = 1.0 - 0.22 * np.abs(x - rng.uniform(-0.15, 0.15)) + 0.03 * np.sin(25 * x + rng.uniform(0, 6))
    return np.asarray(cloth * light[:, :, None])


def _pattern(name: str, rng: np.random.Generator, x: Pixels, y: Pixels) -> Pixels:
    """Float [size, size], 0…1: where the second colour of a pattern is."""
    period = rng.uniform(0.075, 0.11)
    if name == "stripes":
        across = x if rng.random() < 0.5 else y
        return _soft(np.cos(2 * np.pi * across / period))
    if name == "dots":
        row = np.floor(y / period)
        u, v = (x / period + 0.5 * (row % 2)) % 1 - 0.5, (y / period) % 1 - 0.5
        return _soft((0.3 - np.hypot(u, v)) * 4)
    if name == "check":
        wide = period * 1.6
        return 0.5 * _soft(np.cos(2 * np.pi * x / wide)) + 0.5 * _soft(np.cos(2 * np.pi * y / wide))
    if name == "floral":
        wide = period * 1.7
        row = np.floor(y / wide)
        u, v = (x / wide + 0.37 * row) % 1 - 0.5, (y / wide) % 1 - 0.5
        petals = 0.3 + 0.13 * np.cos(5 * np.arctan2(v, u) + 1.3 * row)
        return _soft((petals - np.hypot(u, v)) * 6)
    return np.zeros_like(x)


def _soft(height: Pixels) -> Pixels:
    """0 below zero, 1 above it, with a soft edge."""
    return np.clip(0.5 + 2.5 * height, 0.0, 1.0)
