"""What each feature added to the score of each of many rows, from the trees of a boosted ranker.

What belongs here: LightGBM's own contributions (TreeSHAP: Lundberg, Erion, Lee 2018), made once for rows that a tree
cannot tell apart. What does not: training and scores (:mod:`~atelier.recommenders.two_stage.ranker`).

LightGBM walks all leaves of every tree for every row, a hundred times the work of a score. But a leaf adds to a row
what depends only on how the row answers the questions on the way to that leaf, and thousands of rows answer the few
questions of a tree in a few hundred ways. So each way is asked of LightGBM once, leaf by leaf, and what it added is
added to every row of that way. Floating-point sums depend on their order: each row's are added in LightGBM's, which
comes to the child that the row goes to before the other child. So the result has the same bits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from atelier.arrays import Float32s, Float64s, Mask
from atelier.search.ragged import Indices

BLOCK = 16_384
"""Rows whose sums are made at once: they stay in the processor's cache from one tree's feature to the next."""
CODED = 31
"""Questions whose answers make one number; the numbers of the answers before are counted anew after as many."""


@dataclass(frozen=True)
class Question:
    """A node of a tree that asks whether a feature is at most a threshold.

    Attributes:
        place: its number within the tree.
        feature: which.
        most: the greatest float32 that is not above the threshold.
        unknown_is_left: where rows go whose feature is NaN.
        left: of the rows for which it holds: a question, or the number of a leaf.
        right: of the others, likewise.
    """

    place: int
    feature: int
    most: np.float32
    unknown_is_left: bool
    left: "Question | int"
    right: "Question | int"


Way = tuple[tuple[Question, ...], int]
"""The questions on the way to a leaf, and the leaf's number."""
Steps = Mapping[int, Float64s]
"""What is added to each feature, float64 [steps, ways of answering]: one step after the other."""


class TreeContributions:
    """The contributions of the trees of a booster.

    Args:
        booster: of numerical features, one score for a row.

    Raises:
        ValueError: a tree asks another kind of question.
    """

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster, self._text = booster, booster.model_to_string()
        self._roots = [_node(each["tree_structure"], []) for each in booster.dump_model()["tree_info"]]

    def __call__(self, features: Float32s) -> Float64s:
        """How much each feature added to each score: float64 [m, features], with the bits of LightGBM's.

        Args:
            features: float32 [m, features].
        """
        columns = np.ascontiguousarray(features.T, dtype=np.float32)
        unknown = np.isnan(columns)
        added = np.zeros(columns.shape)
        emptied = self._emptied()
        for tree, root in enumerate(self._roots):
            if isinstance(root, int):
                continue  # a tree without a question adds to no feature
            answers = np.stack([_answer(columns, unknown, each) for each in _questions(root)])
            rows, way = _ways(answers)
            answers, asked = answers[:, rows], features[rows]
            leaves = {leaf: self._leaf(emptied, tree, (path, leaf), asked, answers) for path, leaf in _paths(root, ())}
            _add(added, _ordered(root, leaves, answers), way)
        return np.ascontiguousarray(added.T)

    def _emptied(self) -> lightgbm.Booster:
        """The same trees, each leaf with the value 0."""
        booster = lightgbm.Booster(model_str=self._text)
        for tree, root in enumerate(self._roots):
            for _, leaf in _paths(root, ()):
                booster.set_leaf_output(tree, leaf, 0.0)
        return booster

    def _leaf(self, emptied: lightgbm.Booster, tree: int, way: Way, rows: Float32s, answers: Mask) -> Steps:
        """What a leaf adds to each feature on its way, one step of each, for rows of which no two answer alike."""
        path, leaf = way
        asked, which = _ways(answers[[each.place for each in path]])
        emptied.set_leaf_output(tree, leaf, self._booster.get_leaf_output(tree, leaf))
        made = emptied.predict(rows[asked], start_iteration=tree, num_iteration=1, pred_contrib=True, num_threads=1)
        emptied.set_leaf_output(tree, leaf, 0.0)
        columns = np.asarray(made, dtype=np.float64).T
        return {feature: columns[feature][which][None, :] for feature in dict.fromkeys(each.feature for each in path)}


def _node(told: Mapping[str, Any], before: list[None]) -> Question | int:
    """A node of LightGBM's description of a tree; ``before`` counts the questions."""
    if "split_index" not in told:
        return int(told.get("leaf_index", 0))
    if told["decision_type"] != "<=" or told["missing_type"] not in ("None", "NaN"):
        raise ValueError(f"a tree asks {told['decision_type']!r} with {told['missing_type']!r}, which is not read here")
    place, threshold = len(before), float(told["threshold"])
    before.append(None)
    most = np.float32(threshold)
    if float(most) > threshold:
        most = np.nextafter(most, np.float32(-np.inf))
    unknown_is_left = bool(told["default_left"]) if told["missing_type"] == "NaN" else threshold >= 0
    left, right = (_node(told[child], before) for child in ("left_child", "right_child"))
    return Question(place, int(told["split_feature"]), most, unknown_is_left, left, right)


def _questions(node: Question | int) -> Iterator[Question]:
    """The questions from a node on, by their place."""
    if isinstance(node, Question):
        yield node
        yield from _questions(node.left)
        yield from _questions(node.right)


def _paths(node: Question | int, path: tuple[Question, ...]) -> Iterator[Way]:
    """The leaves from a node on, and the way to each."""
    if isinstance(node, Question):
        for child in (node.left, node.right):
            yield from _paths(child, (*path, node))
    else:
        yield path, node


def _answer(columns: Float32s, unknown: Mask, question: Question) -> Mask:
    """Which rows go to the left, bool [m]."""
    left: Mask = columns[question.feature] <= question.most
    return left | unknown[question.feature] if question.unknown_is_left else left


def _ways(answers: Mask) -> tuple[Indices, Indices]:
    """The ways in which rows answer.

    Args:
        answers: bool [questions, m].

    Returns:
        The first row of each way, int64 [ways], and the number of each row's way, int64 [m].
    """
    # NumPy sorts small integers by radix, many times faster than others.
    numbers = np.zeros(answers.shape[1], dtype=np.int16 if len(answers) < 15 else np.int64)
    for place, answer in enumerate(answers):
        if place and place % CODED == 0:
            numbers = np.unique(numbers, return_inverse=True)[1]
        numbers = 2 * numbers + answer
    _, rows, way = np.unique(numbers, return_index=True, return_inverse=True)
    return rows, way


def _ordered(node: Question | int, leaves: Mapping[int, Steps], answers: Mask) -> Steps:
    """What the leaves from a node on add, in the order in which LightGBM adds it."""
    if not isinstance(node, Question):
        return leaves[node]
    left, right = (_ordered(child, leaves, answers) for child in (node.left, node.right))
    return {feature: _joined(left, right, feature, answers[node.place]) for feature in dict.fromkeys((*left, *right))}


def _joined(left: Steps, right: Steps, feature: int, goes_left: Mask) -> Float64s:
    """The steps of both children, those of the one that a row goes to first."""
    if feature not in left or feature not in right:
        return left[feature] if feature in left else right[feature]
    one, other = left[feature], right[feature]
    return np.where(goes_left, np.concatenate([one, other]), np.concatenate([other, one]))


def _add(added: Float64s, steps: Steps, way: Indices) -> None:
    """Add the steps of a tree to the sums of the rows, float64 [features, m], by the number of each row's way."""
    for start in range(0, len(way), BLOCK):
        block = slice(start, start + BLOCK)
        which = way[block]
        for feature, each in steps.items():
            total = added[feature, block]
            for step in each:
                total += step[which]
