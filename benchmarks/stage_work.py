"""What each step of a night has to do at least: multiply-adds counted by formulas, and what else its time goes into.

Sizes are those of a night that was run: :meth:`Night.of` reads them from the models of that day. What is chosen is read
from the configs of the models. A formula counts products of matrices alone, each once and without filling, so that no
step can do with fewer; where a step has no formula, nothing is known of its products or they are next to nothing.

What belongs here: sizes, formulas, :data:`WORK`. What does not: seconds (:mod:`benchmarks.stage_limits`), what a
machine can do (:mod:`benchmarks.machine_limits`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Self

from safetensors import safe_open

from assets.catalogue_errors import ErrorSearch
from assets.recommendations import RecommendationsConfig
from atelier.attributes.config import AttributeConfig
from atelier.attributes.label_errors import config_for
from atelier.bundles import CONFIG, WEIGHTS
from atelier.recommenders.factorisation.als_config import ALSConfig
from atelier.recommenders.factorisation.hybrid_config import OF_MANY as POSITIVES
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.sequential.config import OF_MANY as INTERACTIONS
from atelier.recommenders.sequential.transformer_config import TransformerConfig
from atelier.recommenders.training_data.amount import OfMany
from benchmarks.full_size_retailer import LABELLED, NEW_PHOTOGRAPHS, TYPES, VALUES, Size, history_ends
from resources.model_store import ModelStore
from resources.retailer import Home

IMAGE = 2048
"""Numbers of a photograph's vector by ResNet-50 (:data:`benchmarks.full_size_job.BACKBONE`)."""
PHOTOGRAPH = 4.1e9
"""Multiply-adds of ResNet-50 on one photograph, as docs/speed.md has them."""
TRAINED = 3
"""Products of a training for each product forward: backward there is one for the input and one for the weights."""
GRADIENTS = 3
"""Steps of conjugate gradients with which implicit solves for a vector (its ``cg_steps``)."""
POLICIES = 2
"""Lists are made with and without what the customer has."""


@dataclass(frozen=True)
class Night:
    """The sizes of a night.

    Attributes:
        articles: of the day; each has a photograph.
        offered: those in stock.
        ranked: those that als has a vector of, because somebody bought them.
        ranked_offered: those of them in stock.
        customers: all that are known.
        fitted: those with a history, of whom als has a vector.
        pairs: distinct pairs of a customer and an article that they bought.
        positions: interactions that the transformer reads of all histories: the last of each.
        factors: numbers of a vector of als, hybrid and transformer.
        attribute_examples: articles that the training of the attribute model passed, all its epochs together.
        photographs: that are new.
        epochs: that hybrid and transformer were trained for; None: nobody kept it.
        to_bounds: whether both were trained until as many examples were passed as they pass at most.
    """

    articles: int
    offered: int
    ranked: int
    ranked_offered: int
    customers: int
    fitted: int
    pairs: int
    positions: int
    factors: int
    attribute_examples: int
    photographs: int
    epochs: int | None
    to_bounds: bool = False

    @classmethod
    def of(cls, home: Home, share: float, day: date, epochs: int | None = None, *, to_bounds: bool = False) -> Self:
        """The sizes of a day that was run, as its models have them.

        Args:
            home: of the full-size retailer.
            share: of it.
            day: of the night: the last of the history, or the day after, on which new photographs arrive.
            epochs: of the networks of recommenders; all that were allowed count as trained.
            to_bounds: whether they were trained up to their own bounds.

        Raises:
            PartitionMissing: a model of the day was never trained.
            FileNotFoundError: its files are gone.
        """
        store = ModelStore(home.store)
        als, transformer, attributes = (
            _folder(store, f"{name}_model", day) for name in ("als", "transformer", "attribute")
        )
        with safe_open(als / WEIGHTS, "np") as file:
            ranked, offered = file.get_tensor("article.ranked"), file.get_tensor("article.offered")
            fitted, factors = file.get_slice("profile.customers").get_shape()
            (pairs,) = file.get_slice("profile.history.columns").get_shape()
            (starts,) = file.get_slice("customer.seen.starts").get_shape()
        with safe_open(transformer / WEIGHTS, "np") as file:
            (positions,) = file.get_slice("profile.history.codes").get_shape()
        told = json.loads((attributes / CONFIG).read_text(encoding="utf-8"))
        return cls(
            articles=len(ranked),
            offered=int(offered.sum()),
            ranked=int(ranked.sum()),
            ranked_offered=int((ranked & offered).sum()),
            customers=starts - 1,
            fitted=fitted,
            pairs=pairs,
            positions=positions,
            factors=factors,
            attribute_examples=max(each["step"] for each in told["history"]) * told["config"]["batch_size"],
            photographs=round(Size.of_share(share).articles * NEW_PHOTOGRAPHS) if day > history_ends() else 0,
            epochs=epochs,
            to_bounds=to_bounds,
        )

    def passed(self, examples: int, amount: OfMany) -> int | None:
        """How many examples a training passed, of so many that there are; None: nobody kept it."""
        if self.to_bounds:
            return amount.most
        return None if self.epochs is None else self.epochs * min(amount.epoch, examples)

    @property
    def judged(self) -> float:
        """Customers with a history of the sample for whom all models make lists: a hash chooses it among all."""
        return min(RecommendationsConfig().judged_sample, self.customers) * self.fitted / self.customers


def _folder(store: ModelStore, name: str, day: date) -> Path:
    return store.path(name, store.pointer(name, day))


def dense(*widths: int) -> int:
    """Multiply-adds of one row through layers of these widths."""
    return sum(left * right for left, right in pairwise(widths))


def als_fit(night: Night, config: ALSConfig | None = None) -> float:
    """Solving for every vector in turn by conjugate gradients (implicit's ``least_squares_cg``).

    For each vector there is one product with the matrix of all others for the residual and one in each step; beside it
    each pair costs two products of vectors, from the customer's side and from the article's. Half of the matrix, which
    is symmetric, is made of the other side's vectors.
    """
    f, products = night.factors, 1 + GRADIENTS
    vectors = (night.fitted + night.ranked) * (products * f * f + f * (f + 1) / 2)
    return (config or ALSConfig()).iterations * (vectors + 2 * products * 2 * f * night.pairs)


def lists(queries: float, candidates: int, length: int) -> float:
    """Every query with every candidate."""
    return queries * candidates * length


def served_lists(night: Night) -> float:
    """Of als: all customers with a vector, and the judged ones once more under the other policy."""
    return lists(night.fitted + night.judged, night.ranked_offered, night.factors)


def judged_lists(night: Night) -> float:
    """Of hybrid: the judged customers under both policies."""
    return lists(POLICIES * night.judged, night.offered, night.factors)


def encoded_histories(night: Night, config: TransformerConfig | None = None) -> float:
    """Of transformer: each judged history through the blocks, once; products between positions are left out.

    The last block is computed at the last position alone, which needs keys and values of all others.
    """
    config, f = config or TransformerConfig(), night.factors
    others = 2 * f * f
    position, last = (config.blocks - 1) * _block(f, config) + others, _block(f, config) - others
    return night.judged * (night.positions / night.fitted * position + last)


def joined_lists(night: Night) -> float:
    """Of transformer: as hybrid's, by vectors that are joined with their directions (``adds_similarity``)."""
    return 2 * judged_lists(night)


def als_neighbours(night: Night) -> float:
    """Of als: every article that it has a vector of with those in stock."""
    return lists(night.ranked, night.ranked_offered, night.factors)


def neighbours(night: Night) -> float:
    """Of hybrid and transformer: every article with those in stock."""
    return lists(night.articles, night.offered, night.factors)


def image_neighbours(night: Night) -> float:
    """Every photographed article with those in stock; what replaces articles out of stock is left out."""
    return lists(night.articles, night.offered, IMAGE)


def new_photographs(night: Night) -> float:
    """Each new photograph through the backbone."""
    return night.photographs * PHOTOGRAPH


def _block(factors: int, config: TransformerConfig) -> int:
    """One position through a block: queries, keys, values, output, and the feed-forward layer."""
    return 4 * factors**2 + dense(factors, config.feed_forward * factors, factors)


def transformer_fit(night: Night, config: TransformerConfig | None = None) -> float | None:
    """Each interaction of an epoch through the blocks and against the drawn articles, forward and backward.

    The last interaction of each window is no input, and windows are as long as histories are on average: those of the
    customers who were there last, on whom it trains, are longer. None where nobody kept how many epochs there were.
    """
    passed = night.passed(night.pairs, INTERACTIONS)
    if passed is None:
        return None
    config, f = config or TransformerConfig(), night.factors
    inputs = passed * (1 - night.fitted / night.positions)
    return TRAINED * inputs * (config.blocks * _block(f, config) + config.negatives * 2 * f)


def hybrid_fit(night: Night, config: HybridConfig | None = None) -> float | None:
    """Each positive of an epoch against the drawn articles, forward and backward; the network of content is left out.

    None where nobody kept how many epochs there were.
    """
    passed = night.passed(night.pairs, POSITIVES)
    each = (config or HybridConfig()).negatives * night.factors
    return None if passed is None else TRAINED * passed * each


def attribute_network(config: AttributeConfig) -> int:
    """One article through the layers of the attribute model; the convolution over words is left out."""
    types, values = len(TYPES), sum(map(len, VALUES.values()))
    joined = config.image_units + config.text_units + config.brand_dim + config.division_dim + types
    return _image_layer(config) + dense(config.filters, config.text_units) + dense(joined, config.joint_units, values)


def attribute_training(config: AttributeConfig) -> int:
    """The same forward and backward; photographs need no gradient."""
    return TRAINED * attribute_network(config) - _image_layer(config)


def _image_layer(config: AttributeConfig) -> int:
    """The layer that reads photographs and the product type."""
    return dense(IMAGE + len(TYPES), config.image_units)


def labelled(night: Night) -> int:
    """Articles with a label: each of the attributes is known of a share of them, drawn one by one."""
    return round(night.articles * (1 - (1 - LABELLED) ** len(VALUES)))


def attribute_fit(night: Night) -> float:
    """The articles that training passed, forward and backward."""
    return night.attribute_examples * attribute_training(AttributeConfig.for_data(labelled(night)))


def attribute_prediction(night: Night) -> float:
    """Every article through the network of the attributes once."""
    return night.articles * attribute_network(AttributeConfig.for_data(labelled(night)))


def error_search(night: Night, config: ErrorSearch | None = None) -> float:
    """A small network for each fold: trained on the other folds, then asked for its own."""
    config, known = config or ErrorSearch(), labelled(night)
    small = config_for(known, seed=config.seed, max_epochs=config.max_epochs)
    trained = small.max_epochs * (config.folds - 1) * attribute_training(small)
    return known * (trained + attribute_network(small))


FLOAT32, BFLOAT16 = "float32", "bfloat16"


@dataclass(frozen=True)
class Work:
    """What a step does.

    Attributes:
        bound: what its time goes into beside reading, writing and the products that are counted, read from its code.
        products: by the precision that they are computed in, where the machine has instructions for it, what counts
            their multiply-adds; empty: nothing is counted. A formula gives None where a size is not known.
    """

    bound: str
    products: Mapping[str, Callable[[Night], float | None]] = field(default_factory=dict)


_INGEST = Work("checks of the landed rows, their contract (Great Expectations) before they are published")
_PUBLISHED = Work("views and small tables of all days in a new file of DuckDB")
_LISTS = "picking candidates, scoring them exactly, reasons for a tenth of the sample"
_NEIGHBOURS = "picking candidates, scoring them exactly, names of articles"
WORK: Mapping[str, Work] = {
    **dict.fromkeys(("articles", "annotated_attributes", "customers", "interactions"), _INGEST),
    **dict.fromkeys(("outfits", "outfit_feedback"), _INGEST),
    **dict.fromkeys(("feature_store", "ingested_store"), _PUBLISHED),
    "images": Work("asking for each listed file whether it is there and has changed"),
    "against_other_days": Work("counts of earlier days, labels of two days"),
    "image_embeddings": Work("decoding, digests, looking for vectors in the cache", {BFLOAT16: new_photographs}),
    "article_features": Work("grouping in DuckDB by article and by article and customer, medians, exact decimals"),
    "customer_features": Work("grouping in DuckDB by customer and channel and by customer and article, exact decimals"),
    "business_figures": Work("grouping in DuckDB: distinct customers of windows"),
    "attribute_sales": Work("grouping in DuckDB: weeks of each attribute value"),
    "attribute_model": Work(
        "words to numbers and their rows, norms, moving weights, judging", {BFLOAT16: attribute_fit}
    ),
    "catalogue_errors": Work(
        "three trainings: words to numbers and their rows, norms; ranking", {BFLOAT16: error_search}
    ),
    "predicted_attributes": Work(
        "words to numbers, convolution, prediction sets as rows", {FLOAT32: attribute_prediction}
    ),
    "article_vectors": Work(
        "weights of words (TF-IDF), scaling in double precision, one more prediction of attributes",
        {FLOAT32: attribute_prediction},
    ),
    "map_catalogue": Work("t-SNE of 20,000 articles on one thread (openTSNE), principal components"),
    "image_similarity": Work(
        "Annoy's planes through vectors of 2,048 numbers on one thread; filters of each pair, exact scores",
        {BFLOAT16: image_neighbours},
    ),
    "outfit_model": Work(
        "two trainings, of which one is asked about held-out baskets: networks of drawn articles, counts of pairs, "
        "components of photographs in double precision; purchases to baskets"
    ),
    "complementary_articles": Work("scores of up to 12 × 200 candidates of each article, who bought both, sorting"),
    "popular_model": Work("names of customers and articles of the whole history to numbers, sorting"),
    "als_model": Work(
        "reading a matrix from the cache for each product with a vector (implicit); names to numbers",
        {FLOAT32: als_fit},
    ),
    "hybrid_model": Work(
        "the network of content, rows of a batch's articles, Adagrad, judging each epoch; names to numbers",
        {FLOAT32: hybrid_fit},
    ),
    "transformer_model": Work(
        "norms, dropout, softmax, moving rows; counting neighbours, judging each epoch; names to numbers",
        {FLOAT32: transformer_fit},
    ),
    "two_stage_model": Work("what is bought together, features of candidates, trees (LightGBM); names to numbers"),
    "recommendations_popular": Work("leaving out what customers have"),
    "recommendations_als": Work(
        "picking candidates, scoring them exactly, a system of equations for each customer's reasons",
        {BFLOAT16: served_lists},
    ),
    "recommendations_hybrid": Work(_LISTS, {BFLOAT16: judged_lists}),
    "recommendations_transformer": Work(
        f"filling of histories, norms, articles that stand near what was bought; {_LISTS}",
        {FLOAT32: encoded_histories, BFLOAT16: joined_lists},
    ),
    "recommendations_two_stage": Work("counting sources, features of 50 candidates of each, trees and their reasons"),
    "similar_articles_als": Work(_NEIGHBOURS, {BFLOAT16: als_neighbours}),
    "similar_articles_hybrid": Work(_NEIGHBOURS, {BFLOAT16: neighbours}),
    "similar_articles_transformer": Work(_NEIGHBOURS, {BFLOAT16: neighbours}),
    "article_index": Work("Annoy's planes of two forests on one thread, recall at several depths"),
    "gates": Work("grouping in DuckDB: lists beside those of the day before"),
    "drift": Work("tables of all days as frames, counting, lists as texts, photographs' vectors in double precision"),
    "report": Work("queries of each section, plots (Matplotlib), pages"),
    "completeness": Work("asking which assets the day has"),
    "offline_metrics": Work("names to numbers, places of what was bought in each list, paired tests"),
}
"""By the name of the step."""
