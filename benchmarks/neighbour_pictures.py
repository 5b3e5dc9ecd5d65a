"""Pictures of neighbours by photographs: rows of an article and what is nearest to it, one picture for each network.

    python -m benchmarks.neighbour_pictures --weights FILE [--out docs/pictures] [--articles 500] [--limit 200]
        [--rows 6] [--vectors FOLDER] [--seed 0] [--threads 2]

FILE is the weights of MobileNetV2 (ImageNet). The photographs are those of the sample retailer, because photographs of
real retailers may not be published; ``--limit`` of its ``--articles`` articles are compared. In each row the article
stands on the left, its first photograph shown; beside it the nearest of other styles, framed green where they have the
article's product type, and with a bar below where they have its colour. The articles are one of each product type, the
first by id, as many as ``--rows``; they are the same in all pictures.

What belongs here: choosing articles, drawing the pictures. What does not: encoding (:mod:`benchmarks.photographs`),
similarity; the daily page, which shows the neighbours of the day (:mod:`atelier.report.neighbours`).
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

from atelier.images.backbones import Backbone, build_backbone
from atelier.images.decode import decode, read
from atelier.images.embedding import Encoder
from benchmarks.photographs import Photographs, draw_sample, drawn, encoded
from benchmarks.visual_similarity import PLAIN, nearest

SHOWN = 7
SIDE, GAP, BAR = 72, 8, 5  # pixels: a photograph, what stands between two, the bar that says "same colour"
GREEN, GREY, INK = (30, 150, 60), (205, 205, 205), (60, 60, 60)
COLOURS = 128
"""Of the picture's palette: photographs with their noise would take three times the bytes without one."""


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--articles", type=int, default=500)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--vectors", type=Path, help="a folder in which vectors are stored between runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(given)


def backbones(weights: str) -> dict[str, Backbone]:
    """The networks that are compared, by the name of their picture."""
    return {
        "mobilenet_v2": build_backbone("mobilenet_v2", weights, preprocessing=PLAIN),
        "random": build_backbone("mobilenet_v2", None, preprocessing=PLAIN),
        "small": build_backbone("small", None),
    }


def picture(photos: Photographs, near: pd.DataFrame, asked: Sequence[str]) -> Image.Image:
    """Rows of articles with their neighbours.

    Args:
        photos: the photographs, with type and colour of their articles.
        near: the nearest articles, as :meth:`~atelier.images.similarity.ExactImages.similar` gives them.
        asked: the articles on the left, from above.
    """
    step, known = SIDE + GAP + BAR, photos.articles.set_index("article_id")
    canvas = Image.new("RGB", (GAP + (SHOWN + 1) * (SIDE + GAP) + GAP, GAP + len(asked) * step), "white")
    draw = ImageDraw.Draw(canvas)
    for row, article in enumerate(asked):
        found = near[near["article_id"] == article].sort_values("rank")["similar_article_id"].tolist()[:SHOWN]
        own = known.loc[article]
        for place, each in enumerate([article, *found]):
            x, y = GAP + place * (SIDE + GAP) + (GAP if place else 0), GAP + row * step
            facts = known.loc[each]
            canvas.paste(_thumbnail(photos.root, str(facts["path"])), (x, y))
            frame = INK if place == 0 else GREEN if facts["type"] == own["type"] else GREY
            draw.rectangle((x - 2, y - 2, x + SIDE + 1, y + SIDE + 1), outline=frame, width=2)
            if place and facts["colour"] == own["colour"]:
                draw.rectangle((x - 2, y + SIDE + 2, x + SIDE + 1, y + SIDE + BAR - 1), fill=INK)
    return canvas.quantize(COLOURS)


def _thumbnail(root: Path, path: str) -> Image.Image:
    return decode(read(path, root), path, at_least=SIDE).convert("RGB").resize((SIDE, SIDE))


def main(given: Sequence[str] | None = None) -> dict[str, Path]:
    """Draw the retailer, compare, write the pictures; their files by network."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    options.out.mkdir(parents=True, exist_ok=True)
    files = {}
    with tempfile.TemporaryDirectory() as scratch:
        photos = drawn(draw_sample(Path(scratch), options.articles, options.seed), options.limit, options.seed)
        asked = photos.articles.drop_duplicates("type")["article_id"].tolist()[: options.rows]
        for name, backbone in backbones(options.weights).items():
            encoder = Encoder(backbone, device="cpu", threads=options.threads)
            near = nearest(photos, encoded(photos, encoder, options.vectors))
            files[name] = options.out / f"neighbours_{name}.png"
            picture(photos, near, asked).save(files[name], optimize=True)
            print(f"{files[name]}: {len(asked)} of {len(photos.articles)} articles", flush=True)
    return files


if __name__ == "__main__":
    main()
