"""How a recommender is declared: once, beside itself.

What belongs here: :class:`Declaration`. What does not: a declaration, which stands in the config module of its model.
From the declarations come the models by name (:mod:`atelier.recommenders`), the stages of the daily DAG with their
typed config, the leaderboard, the contract tests and the table in the docs.
"""

from dataclasses import dataclass

from atelier.recommenders.config import RecommenderConfig


@dataclass(frozen=True)
class Declaration:
    """What is known of a recommender before it is imported.

    Attributes:
        name: of the model, in tables, files and commands.
        summary: one sentence, with the source where there is one.
        config: its config, each field with its description and bounds.
        implementation: where its class is, ``module:class``; it is imported when the model is first used.
        reads_content: whether it can read the vectors of articles; its config says whether it does.
        reasons_from_content: whether its reasons are read from these vectors, so that its lists need them too.
        has_vectors: whether it has a vector for an article, and can compare articles by it.
        serves_anyone: whether it can rank for a customer of whom nothing is known.
        daily: whether the daily job fits it; the others can be built by name and studied.
    """

    name: str
    summary: str
    config: type[RecommenderConfig]
    implementation: str
    reads_content: bool = False
    reasons_from_content: bool = False
    has_vectors: bool = False
    serves_anyone: bool = False
    daily: bool = True

    @property
    def module(self) -> str:
        """The module of its class."""
        return self.implementation.partition(":")[0]
