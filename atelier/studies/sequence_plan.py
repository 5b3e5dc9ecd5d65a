"""Which fits the study of sequence models is made of: what the H&M thesis varies, one part for each question.

What belongs here: the parts, and the models of each. What does not: running them
(:mod:`atelier.studies.recommender_study`), tables (:mod:`atelier.studies.sequence_tables`).

Source: the thesis on neural sequencers at H&M: all models side by side, the lengths of both embeddings, whether order
matters, and how long a history has to be. The best epoch is chosen on validation data, not on the test set as there.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier.recommenders.sequential.sequencer_config import Cell
from atelier.studies.recommender_plan import Order, RecommenderStudyPlan, StudiedModel

Part = Literal["models", "customer_embedding", "article_embedding", "order", "history"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The questions: which model, how long an embedding, does order matter, how long a history."""
CELLS: tuple[Cell, ...] = get_args(Cell)
POPULAR = StudiedModel(recommender="popular")


class SequencePlan(BaseModel):
    """What the study of sequence models tries. Immutable.

    Attributes:
        parts: the questions, in the order of the tables.
        sequencer: fields of ``sequencer``'s config, for every cell.
        transformer: fields of ``transformer``'s config.
        hybrid: fields of ``hybrid``'s config.
        als: fields of ``als``'s config.
        studied: the model by which all questions but the first are asked: transformer, or sequencer:CELL.
        lengths: of the embeddings that are tried.
        histories: how many of the last interactions are read, each tried.
        orders: of the training interactions, each tried.
        seeds: of the fits.
        k: length of the lists.
        exclude_seen: whether lists and truth leave out what a customer had purchased.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[Part, ...] = PARTS
    sequencer: dict[str, Any] = {}
    transformer: dict[str, Any] = {}
    hybrid: dict[str, Any] = {}
    als: dict[str, Any] = {}
    studied: str = "transformer"
    lengths: tuple[int, ...] = Field(default=(1, 10, 20, 128, 256), min_length=1)
    histories: tuple[int, ...] = Field(default=(5, 10, 20, 50), min_length=1)
    orders: tuple[Order, ...] = Field(default=("kept", "within_days", "shuffled"), min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    k: int = Field(default=14, ge=1)
    exclude_seen: bool = False

    @model_validator(mode="after")
    def _studied_exists(self) -> "SequencePlan":
        known = ("transformer", *(f"sequencer:{cell}" for cell in CELLS))
        if self.studied not in known:
            raise ValueError(f"studied is {self.studied!r}; there are {', '.join(known)}")
        return self

    @property
    def studied_model(self) -> StudiedModel:
        """The model by which all questions but the first are asked."""
        return self._sequence_model(self.studied)

    def plans(self) -> dict[Part, RecommenderStudyPlan]:
        """The fits of each part, by part."""
        made = {
            "models": self._models,
            "customer_embedding": self._customer_embedding,
            "article_embedding": self._article_embedding,
            "order": self._order,
            "history": self._history,
        }
        return {part: self._plan(made[part]()) for part in self.parts}

    def _plan(self, models: Mapping[str, StudiedModel]) -> RecommenderStudyPlan:
        return RecommenderStudyPlan(
            models=dict(models),
            seeds=self.seeds,
            shares=(1.0,),
            k=self.k,
            exclude_seen=self.exclude_seen,
            fallback=POPULAR,
        )

    def _models(self) -> dict[str, StudiedModel]:
        simple = {"popular": POPULAR} | {
            name: StudiedModel(recommender=name) for name in ("repeat", "markov", "item_knn")
        }
        factorised = {
            "als": StudiedModel(recommender="als", config=self.als),
            "als_annoy": StudiedModel(recommender="als", config=self.als, search="annoy"),
            "hybrid": StudiedModel(recommender="hybrid", config=self.hybrid, reads_content=True),
        }
        cells = {f"sequencer:{cell}": self._sequence_model(f"sequencer:{cell}") for cell in CELLS}
        return {**simple, **factorised, **cells, "transformer": self._sequence_model("transformer")}

    def _sequence_model(self, name: str, order: Order = "kept", **changes: Any) -> StudiedModel:
        """A sequence model by its name in figures, with changes to what the plan says of it."""
        recommender, _, cell = name.partition(":")
        config = {**(self.sequencer if cell else self.transformer), **changes}
        if cell:
            config["cell"] = cell
        reads = config.get("mode") != "collaborative"
        return StudiedModel(recommender=recommender, config=config, reads_content=reads, order=order)

    def _customer_embedding(self) -> dict[str, StudiedModel]:
        """Without and with a vector of the customer; only a sequencer has one."""
        name = self.studied if self.studied.startswith("sequencer:") else "sequencer:gru"
        lengths = {f"{length}": self._sequence_model(name, customer_factors=length) for length in self.lengths}
        return {"none": self._sequence_model(name), **lengths}

    def _article_embedding(self) -> dict[str, StudiedModel]:
        """Embeddings of every length that the model can have."""
        changes = {f"{length}": self._of_length(length) for length in self.lengths}
        return {name: self._sequence_model(self.studied, **change) for name, change in changes.items()}

    def _of_length(self, length: int) -> dict[str, Any]:
        """The fields that give embeddings this length: as many heads as divide it, where there are heads."""
        if self.studied not in ("transformer", "sequencer:transformer"):
            return {"factors": length}
        heads = (self.sequencer if ":" in self.studied else self.transformer).get("heads", 4)
        return {"factors": length, "heads": max(each for each in range(1, heads + 1) if length % each == 0)}

    def _order(self) -> dict[str, StudiedModel]:
        return {order: self._sequence_model(self.studied, order) for order in self.orders}

    def _history(self) -> dict[str, StudiedModel]:
        return {f"{length}": self._sequence_model(self.studied, history=length) for length in self.histories}
