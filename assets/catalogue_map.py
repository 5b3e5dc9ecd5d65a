"""The map of the catalogue: where each article with photographs lies among those that look like it.

What belongs here: which articles are mapped. What does not: the map (:mod:`atelier.articles.catalogue_map`), its
picture and its page (:mod:`atelier.report.catalogue_map`).
"""

import dagster as dg

from assets.stage import stage
from assets.step import Step
from resources.article_inputs import INPUTS, article_inputs
from sql import query

TABLE = "catalogue_map"
GROUP = "images"
#: The share of the variance of image vectors that the published system's components are to explain.
EXPLAINED = 0.95


class CatalogueMapConfig(dg.Config):
    """How the map is made.

    Attributes:
        articles: how many are mapped, at most, chosen by a fixed hash: t-SNE's time goes with them.
        components: principal components of the image vectors that are kept, at most.
        perplexity: about how many neighbours each article keeps near.
        seed: of t-SNE's first steps.
    """

    articles: int = 20_000
    components: int = 256
    perplexity: float = 30.0
    seed: int = 0


def write_map(step: Step, config: CatalogueMapConfig) -> None:
    """Map the articles of the day that have photographs."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from atelier.articles.catalogue_map import catalogue_map
    from atelier.articles.table import Articles

    step.compute.apply()
    articles = Articles.from_frame(article_inputs(step.store, step.cache, step.ds))
    pictures = articles.image_vectors
    with step.connect("articles") as con:
        con.register("photographed", pa.table({"article_id": articles.ids.filter(pa.array(pictures.counts > 0))}))
        chosen = con.sql(query("mapped_articles"), params={"most": config.articles}).df()
    names = np.sort(chosen["article_id"].to_numpy(dtype=object))
    vectors = pictures.take(articles.find(names)).mean()
    made = catalogue_map(vectors, components=config.components, perplexity=config.perplexity, seed=config.seed)
    places = pd.DataFrame({"article_id": names, "x": made.places[:, 0], "y": made.places[:, 1]})
    step.write(TABLE, places)
    step.note(TABLE, articles=len(places), dimension=int(vectors.shape[1]))
    step.note(TABLE, components=made.components)
    if made.explained is not None:
        step.note(TABLE, explained_variance=made.explained)
    step.check("variance_explained", *judgement(made.components, made.explained))


def judgement(components: int, explained: float | None) -> tuple[bool, str]:
    """Whether components explain enough of the variance, and what to say of it; with none nothing is shown to."""
    if explained is None:
        return False, (
            "no component explains any variance: fewer than two articles have a photograph with a vector. Give the "
            "articles photographs, and the map is made of these"
        )
    return explained >= EXPLAINED, (
        f"{components} components explain {explained:.1%} of the variance of the image vectors; the published target "
        f"is {EXPLAINED:.0%}, and more components explain more"
    )


map_catalogue = stage(
    name="map_catalogue",
    description="The catalogue as a map by photographs: what looks alike lies together.",
    produces=[TABLE],
    deps=INPUTS,
    group=GROUP,
    checks={"variance_explained": f"Whether the kept components explain {EXPLAINED:.0%} of the variance."},
    isolated=True,
)(write_map)

STAGES = (map_catalogue,)
