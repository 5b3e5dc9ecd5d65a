"""Recommenders: the models of a day.

What belongs here: fitting each model, and what models read. What does not: the models (:mod:`atelier.recommenders`),
what they recommend (:mod:`assets.recommendations`).
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.stage import stage
from assets.step import Step
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.recommenders import Recommender

GROUP = "recommenders"
TRAIN_KINDS = ("save", "bag", "purchase")

#: The models of the daily DAG, in the order of the leaderboard; the first serves whom the others cannot.
MODELS = ("popular", "repeat", "als", "hybrid")
FALLBACK = "popular"
#: Those that have a vector for an article, and can compare articles by it.
VECTOR_MODELS = ("als", "hybrid")
#: Those that read the content of articles, and what that is.
CONTENT_MODELS = ("hybrid",)
CONTENT = ("article_vectors", "vector_space")
READ = ("interactions", "articles", "customers")


class PopularConfig(dg.Config):
    """What ``popular`` counts. What is left empty is the model's default.

    Attributes:
        window_days: how many days, the last of them that of the last interaction.
        train_kinds: the kinds of interaction it learns from.
    """

    window_days: int | None = None
    train_kinds: list[str] = list(TRAIN_KINDS)


class RepeatConfig(PopularConfig):
    """What ``repeat`` keeps of a customer. What is left empty is the model's default.

    Attributes:
        window_days: how many days popularity counts, the last of them that of the last interaction.
        own_articles: how many of a customer's last articles come first.
        train_kinds: the kinds of interaction it learns from.
    """

    own_articles: int | None = None


class AlsConfig(dg.Config):
    """How ``als`` is trained. What is left empty is the model's default, which suits the size of the data.

    Attributes:
        factors: length of the vectors.
        iterations: alternations.
        regularization: weight of the squared norms.
        alpha: by how much an interaction raises the confidence.
        kind_weights: how much an interaction counts, by kind.
        half_life_days: after how many days an interaction counts half.
        seed: of the first vectors.
        train_kinds: the kinds of interaction it learns from.
    """

    factors: int | None = None
    iterations: int | None = None
    regularization: float | None = None
    alpha: float | None = None
    kind_weights: dict[str, float] | None = None
    half_life_days: float | None = None
    seed: int = 0
    train_kinds: list[str] = list(TRAIN_KINDS)


class HybridConfig(dg.Config):
    """How ``hybrid`` is trained.

    What is left empty is the model's default.

    Attributes:
        mode: what an article's vector is made of: content, collaborative, hybrid.
        factors: length of the vectors.
        hidden: widths of the content network's hidden layers.
        dropout: share of its hidden units dropped in training.
        history: how many of a customer's last interactions make up their vector.
        inputs: how many interactions before a positive make up the customer's vector in training.
        inputs_drawn: which of them: random or last.
        min_interactions: customers with fewer are not trained on.
        positives: window, last or auto.
        positives_share: how large the last part is that positives come from.
        epoch_positives: how many positives an epoch passes, at most.
        negatives: how many articles are held against a positive.
        negative_sampling: shared or per_customer.
        negatives_on_sale: ever, window or positives: which articles can be negatives.
        negative_popularity: 0 draws them equally often, 1 as often as they are chosen.
        loss: wmrb, bpr or sampled_softmax.
        rank_scale: r of the loss; empty: one over how often a negative is drawn.
        l2_embedding: weight of the embeddings' squared lengths.
        l2_content: weight of the content vectors' squared lengths.
        customer_attributes: columns of ``customers`` that are read.
        learning_rate: Adam's step for the networks.
        embedding_learning_rate: Adagrad's step for the embeddings.
        batch_size: positives per step.
        max_epochs: passes over the positives, at most.
        patience: epochs without improvement before training stops.
        seed: of everything random.
        train_kinds: the kinds of interaction it learns from.
    """

    mode: str | None = None
    factors: int | None = None
    hidden: list[int] | None = None
    dropout: float | None = None
    history: int | None = None
    inputs: int | None = None
    inputs_drawn: str | None = None
    min_interactions: int | None = None
    positives: str | None = None
    positives_share: float | None = None
    epoch_positives: int | None = None
    negatives: int | None = None
    negative_sampling: str | None = None
    negatives_on_sale: str | None = None
    negative_popularity: float | None = None
    loss: str | None = None
    rank_scale: float | None = None
    l2_embedding: float | None = None
    l2_content: float | None = None
    customer_attributes: list[str] = []
    learning_rate: float | None = None
    embedding_learning_rate: float | None = None
    batch_size: int | None = None
    max_epochs: int | None = None
    patience: int | None = None
    seed: int = 0
    train_kinds: list[str] = list(TRAIN_KINDS)


def training_interactions(step: Step, kinds: Sequence[str], day: date | None = None) -> "Interactions":
    """Everything of ``kinds`` that customers did up to a day, the step's by default."""
    from atelier.interactions import Interactions
    from resources.frames import dictionary_table

    with step.store.connect(as_of=day or step.ds, tables=["interactions"]) as con:
        rows = con.sql(query("training_interactions"), params={"kinds": list(kinds)})
        return Interactions.from_frame(dictionary_table(rows))


def catalogue(step: Step, day: date | None = None, *, content: bool = False) -> "Catalogue":
    """The articles that are visible on a day, the step's by default; with ``content`` their vectors and names too."""
    from atelier.catalogue import Catalogue

    day = day or step.ds
    with step.store.connect(as_of=day, tables=["articles"]) as con:
        articles = con.table("articles").order("article_id").df()
    if not content:
        return Catalogue.from_frames(articles)
    from atelier.articles.vectors import ArticleVectors

    space = step.models.bundle("vector_space", step.models.pointer("vector_space", day))
    return Catalogue.from_frames(
        articles, step.store.read("article_vectors", day), ArticleVectors.load(space.path).names
    )


def known_customers(step: Step, columns: Sequence[str] = ()) -> "pd.DataFrame":
    """The customers of the step's day: ``customer_id``, and further columns of the table."""
    with step.connect("customers") as con:
        known = con.table("customers")
        absent = sorted(set(columns) - set(known.columns))
        if absent:
            raise dg.Failure(f"customer_attributes names {', '.join(absent)}; there are {', '.join(known.columns)}")
        frame: pd.DataFrame = known.select("customer_id", *columns).order("customer_id").df()
    return frame


def _fit(
    step: Step, name: str, config: PopularConfig | AlsConfig | HybridConfig, *, content: bool = False, **sizes: Any
) -> "Recommender[Any]":
    """Fit and publish the model of that name; ``content``: whether it reads the vectors of articles."""
    from atelier import recommenders

    chosen = {field: value for field, value in {**config.model_dump(), **sizes}.items() if value is not None}
    model: Recommender[Any] = recommenders.build(name, **chosen)
    # What a customer purchased is left out of the lists whatever the model learns from.
    train = training_interactions(step, sorted({*config.train_kinds, *model.config.seen_kinds}))
    customers = known_customers(step, chosen.get("customer_attributes", ()))
    model.fit(train, catalogue=catalogue(step, content=content), customers=customers)
    step.save_model(
        f"{name}_model",
        model.save,
        tables=[*READ, "article_vectors"] if content else READ,
        seed=model.config.seed,
        models=[step.bundle("vector_space")] if content else (),
    )
    step.note(
        f"{name}_model",
        interactions=len(train),
        customers=len(train.customer_ids),
        articles=len(train.article_ids),
        config=model.config.model_dump(mode="json"),
    )
    return model


@stage(produces=["popular_model"], deps=READ, group=GROUP)
def popular_model(step: Step, config: PopularConfig) -> None:
    """What sells in the recent window: the baseline, and what new customers get."""
    _fit(step, "popular", config)


@stage(produces=["repeat_model"], deps=READ, group=GROUP)
def repeat_model(step: Step, config: RepeatConfig) -> None:
    """A customer's own last articles, then what sells: the floor wherever articles may be repeated."""
    _fit(step, "repeat", config)


@stage(produces=["als_model"], deps=READ, group=GROUP)
def als_model(step: Step, config: AlsConfig) -> None:
    """Matrix factorisation by alternating least squares over implicit feedback (Hu, Koren, Volinsky 2008)."""
    _fit(step, "als", config, threads=step.compute.threads)


@stage(produces=["hybrid_model"], deps=[*READ, *CONTENT], group=GROUP)
def hybrid_model(step: Step, config: HybridConfig) -> None:
    """Asymmetric factorisation over content and embeddings (Cardoso, Daolio, Vargas 2018)."""
    from atelier.recommenders.factorisation.hybrid import Hybrid

    step.compute.apply()
    model = _fit(step, "hybrid", config, content=config.mode != "collaborative")
    if isinstance(model, Hybrid) and model.epochs:
        best = min(model.epochs, key=lambda epoch: epoch.validation["loss"])
        step.note("hybrid_model", epochs=len(model.epochs), loss=best.loss, validation_loss=best.validation["loss"])


STAGES = (popular_model, repeat_model, als_model, hybrid_model)
