"""The configuration and the declaration of ``two_stage``.

What belongs here: every number that can be chosen. What does not: candidates, features and ranking
(:mod:`atelier.recommenders.two_stage.two_stage`). Nothing heavy is imported.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, PositiveInt, field_validator, model_validator

from atelier.recommenders.config import RecommenderConfig, Search
from atelier.recommenders.declaration import Declaration

Group = Literal[
    "sources",
    "own",
    "style",
    "type",
    "customer",
    "popularity",
    "segments",
    "freshness",
    "price",
    "repurchase",
    "content",
    "towers",
]
GROUPS: tuple[Group, ...] = tuple(group for group in get_args(Group) if group != "towers")
"""The groups of features that are read by default, which can be left out one by one; ``towers`` are the vectors of
``two_tower``, where it is a source."""
CountedSource = Literal["own", "style", "together", "popular", "neighbours"]
TOWERS = "two_tower"


DECLARED_AS = "two_stage"


class TwoStageConfig(RecommenderConfig):
    """Config of ``two_stage``. The defaults were chosen on validation days (docs/two_stage.md)."""

    ranker: Literal["boosted", "network", "joint"] = Field(
        default="boosted",
        description="What orders the candidates: boosted trees (LightGBM's LambdaRank), a network of two branches, or "
        "that network trained together with the towers of two_tower (joint).",
    )
    sources: tuple[CountedSource, ...] = Field(
        default=("own", "style", "together", "popular"),
        description="The sources of candidates that count what happened. The source neighbours lists articles that "
        "nobody chose yet, by how near their content is to that of the customer's last articles.",
    )
    recommenders: tuple[str, ...] = Field(
        default=(), description="The recommenders, with their default settings, whose lists are candidates too."
    )
    candidates: Annotated[int, Search(20, 200, log=True)] = Field(
        default=50, ge=1, le=1000, description="Candidates of a customer that are ranked."
    )
    features: tuple[Group, ...] = Field(
        default=GROUPS, min_length=1, description="The groups of features that the ranker reads."
    )
    label_kinds: tuple[str, ...] = Field(
        default=("purchase",),
        min_length=1,
        description="The kinds of interaction that a good candidate is followed by, each one of train_kinds.",
    )
    training_days: Annotated[PositiveInt, Search(1, 14, dated=True)] = Field(
        default=4, description="The last days whose interactions are labels, each ranked with what was known before it."
    )
    horizon_days: PositiveInt = Field(default=1, description="Days of labels after each of these moments.")
    customers_per_day: PositiveInt = Field(
        default=10_000, description="Customers with history that are trained on, of each day, at most."
    )
    newcomers: int = Field(
        default=3000,
        ge=0,
        description="Customers without history that are trained on too, of each day, at most. What sells to them helps "
        "to rank for the others; their own lists are the popular articles.",
    )
    held_out: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of customers whose lists the ranker does not learn from, so that the training curve "
        "shows them too; 0: the curve is of training alone.",
    )
    popular_days: Literal[1, 3, 7, 30] = Field(
        default=3,
        description="The last days whose best-selling articles customers without history get, and lists end with.",
    )
    history: PositiveInt = Field(default=100, description="The last interactions of a customer that are read.")
    followers: PositiveInt = Field(
        default=30, description="Articles that an article leads to in the co-purchase graph."
    )
    graph_days: PositiveInt = Field(default=30, description="The last days from which the co-purchase graph is made.")
    per_style: PositiveInt = Field(default=10, description="Articles of the same style that are candidates.")
    per_article: PositiveInt = Field(
        default=20, description="Articles that nobody chose yet to which an article leads by its content."
    )
    content_length: Annotated[int, Search(choices=(0, 32, 64, 128), content=True)] = Field(
        default=64, ge=0, le=4096, description="Length to which content vectors are projected; 0: content is not read."
    )
    age: str | None = Field(
        default=None, description="The column of customers that holds their age in years; empty: no age groups."
    )
    customer_attributes: tuple[str, ...] = Field(
        default=(), description="Columns of customers that the customer tower reads, where two_tower is a source."
    )
    trees: Annotated[PositiveInt, Search(50, 400, log=True)] = Field(default=150, description="Boosted trees.")
    leaves: Annotated[int, Search(4, 63, log=True)] = Field(default=15, ge=2, description="Leaves of a tree.")
    learning_rate: Annotated[float, Search(0.01, 0.2, log=True)] = Field(
        default=0.05, gt=0, le=1, description="How much of each tree is added."
    )
    min_examples_in_leaf: Annotated[PositiveInt, Search(10, 500, log=True)] = Field(
        default=50, description="The fewest training rows of a leaf."
    )
    feature_fraction: float = Field(default=0.8, gt=0, le=1, description="The share of features that a tree may use.")
    l2: float = Field(default=1.0, ge=0, le=1e6, description="Regularisation of the leaves' values.")
    truncation: PositiveInt = Field(
        default=20, description="LambdaRank learns from pairs with one of the first so many."
    )
    negatives: PositiveInt = Field(
        default=4, description="Candidates that the network reads for each positive, an epoch."
    )
    network_epochs: PositiveInt = Field(
        default=10, description="The network's passes over the positives; trained together, the towers' too."
    )
    network_learning_rate: float = Field(
        default=0.001, gt=0, le=1, description="Adam's step for the network; trained together, for the towers too."
    )
    threads: int = Field(
        default=0,
        ge=0,
        exclude=True,
        description="How many threads train and score at once; 0: one for each core. The result does not depend on it.",
    )

    @field_validator("recommenders")
    @classmethod
    def _distinct_others(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("a recommender is named twice: name each once")
        if DECLARED_AS in names:
            raise ValueError(f"{DECLARED_AS} cannot be a source of itself: leave it out")
        return names

    @field_validator("features")
    @classmethod
    def _distinct_features(cls, groups: tuple[Group, ...]) -> tuple[Group, ...]:
        if len(set(groups)) < len(groups):
            raise ValueError("a group of features is named twice: name each once")
        return groups

    @model_validator(mode="after")
    def _labels_can_occur(self) -> Self:
        if others := [kind for kind in self.label_kinds if kind not in self.train_kinds]:
            raise ValueError(
                f"label_kinds holds {', '.join(others)}, which is not among train_kinds ({', '.join(self.train_kinds)})"
                ", so no such row would be read: name it in train_kinds too, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _towers_are_there(self) -> Self:
        if not self.sources and not self.recommenders:
            raise ValueError("there is no source of candidates: name some in sources or recommenders")
        if self.ranks_unsold and not self.reads_content:
            raise ValueError("the source neighbours compares content: let content_length be above 0")
        if "towers" in self.features and TOWERS not in self.recommenders:
            raise ValueError(f"the features towers are vectors of {TOWERS}: name it in recommenders")
        if self.customer_attributes and TOWERS not in self.recommenders:
            raise ValueError(f"customer_attributes are read by {TOWERS}: name it in recommenders")
        if self.ranker == "joint" and self.features != ("towers",):
            raise ValueError("the ranker joint reads the vectors of the towers alone: features is ('towers',)")
        return self

    @classmethod
    def published(cls, **changes: object) -> Self:
        """The published H&M two-tower project: retrieval by two towers, and a ranking network trained with them.

        The towers (128, 64 → 32) learn from positives alone, against the others of the batch; the network (branches of
        64 and 32, joined to 32 and 16) from the same positives and 4 sampled articles for each; Adam's step is .001.
        The number of retrieved candidates is not published: 100 is chosen.

        Args:
            changes: other fields.
        """
        numbers: dict[str, object] = {
            "ranker": "joint",
            "sources": (),
            "recommenders": (TOWERS,),
            "features": ("towers",),
            "candidates": 100,
            "negatives": 4,
            "network_learning_rate": 0.001,
        }
        return cls.model_validate(numbers | changes)

    @property
    def reads_content(self) -> bool:
        """Whether it reads the vectors of articles."""
        return self.content_length > 0

    @property
    def ranks_unsold(self) -> bool:
        """Whether articles that nobody chose yet can be candidates."""
        return "neighbours" in self.sources

    @property
    def counted_features(self) -> tuple[Group, ...]:
        """The groups of features that are counted: all but the vectors of the towers."""
        return tuple(group for group in self.features if group != "towers")

    @property
    def reads_towers(self) -> bool:
        """Whether the ranker reads the vectors of the towers."""
        return "towers" in self.features

    @property
    def customer_columns(self) -> tuple[str, ...]:
        """The columns of the frame of customers that are read, each once: the age, and what the towers read."""
        return tuple(dict.fromkeys((*(() if self.age is None else (self.age,)), *self.customer_attributes)))


DECLARATION = Declaration(
    name=DECLARED_AS,
    summary="Candidates from several sources, ranked by boosted trees over engineered features (LambdaRank, LightGBM).",
    config=TwoStageConfig,
    implementation="atelier.recommenders.two_stage.two_stage:TwoStage",
    reads_content=True,
    serves_anyone=True,
)
