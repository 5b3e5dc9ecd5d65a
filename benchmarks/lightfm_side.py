"""LightFM's side of ``warp_against_lightfm``, run by an interpreter that has its living fork (rectools-lightfm).

What belongs here: calling and timing LightFM, and what both sides share: how lists are judged. What does not: Atelier,
which this cannot import. Prints one line of JSON, the points of the curve: wall and processor seconds of training so
far and precision@10 of the validation lists, after each epoch.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from benchmarks.sequence_sides import Clock

K = 10
"""The length of the lists that are judged."""
Float32s = npt.NDArray[np.float32]


class Tastes(NamedTuple):
    """Interactions to train on, and what the same customers did next; n customers.

    Attributes:
        customers: int [interactions], ascending.
        articles: int [interactions], in the order of time within each customer.
        later: int [n, m]: the articles that each customer had later, none of which they had before.
        sizes: int [2]: how many customers and articles there are.
    """

    customers: npt.NDArray[np.int64]
    articles: npt.NDArray[np.int64]
    later: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @property
    def seen(self) -> Any:
        """What customers have had, sparse [n, articles] of ones."""
        ones = np.ones(len(self.customers), np.float32)
        return csr_matrix((ones, (self.customers, self.articles)), shape=tuple(self.sizes))

    def save(self, file: Path) -> None:
        """Write a file that :meth:`load` reads."""
        np.savez(file, allow_pickle=False, **self._asdict())

    @classmethod
    def load(cls, file: Path) -> "Tastes":
        """Read what :meth:`save` wrote."""
        with np.load(file, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in cls._fields})


def precision(tastes: Tastes, customers: Float32s, articles: Float32s, judged: int, biases: Any = 0) -> float:
    """Precision@10 of the lists of the first ``judged`` customers, without what they have had.

    Args:
        tastes: the data.
        customers: float32 [n, factors].
        articles: float32 [articles, factors].
        judged: how many customers.
        biases: float32 [articles], added to each score.
    """
    seen, hits = tastes.seen, 0
    for start in range(0, judged, 1000):
        end = min(start + 1000, judged)
        scores = customers[start:end] @ articles.T + biases
        scores[seen[start:end].nonzero()] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        hits += int((best[:, :, None] == tastes.later[start:end, None, :]).sum())
    return hits / (judged * K)


def side_arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that both sides have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="of the data")
    parser.add_argument("--factors", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="at most")
    parser.add_argument("--judged", type=int, required=True, help="customers whose lists are judged")
    return parser


def main(given: list[str] | None = None) -> None:
    """Train, judge after each epoch, print."""
    parser = side_arguments(__doc__)
    parser.add_argument("--patience", type=int, default=5, help="epochs without better lists that end training")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    options = parser.parse_args(given)
    from lightfm import LightFM

    tastes = Tastes.load(options.file)
    matrix = tastes.seen.tocoo()
    model = LightFM(options.factors, loss="warp", learning_rate=options.learning_rate, random_state=0)
    clock, curve = Clock(), list[tuple[float, float, float]]()
    best = 0
    while len(curve) < options.epochs and len(curve) - best < options.patience:
        with clock.running():
            model.fit_partial(matrix, epochs=1, num_threads=options.threads)
        _, customers = model.get_user_representations()
        biases, articles = model.get_item_representations()
        curve.append((*clock.spent, precision(tastes, customers, articles, options.judged, biases)))
        best = 1 + int(np.argmax([point[2] for point in curve]))
    print(json.dumps(curve))


if __name__ == "__main__":
    main()
