"""RePlay's side of ``sequences_against_peers``, run by an interpreter that has RePlay with torch.

What belongs here: RePlay's SASRec, by its public functions. What does not: Atelier, which it cannot import; what all
sides share (:mod:`benchmarks.sequence_sides`). Prints one line of JSON, a ``SideResult``.

An epoch is a ``fit`` of Lightning's trainer over RePlay's Parquet batches, and the optimiser is the same in all of
them. Lists come from its ``predict`` with RePlay's own callback and filter.
"""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.sequence_sides import Integers, K, Sequences, measure_peer, side_arguments

SEED = 0
CUSTOMER, ARTICLE, SEEN = "query_id", "item_id", "seen_ids"


class SASRec:
    """RePlay's model with its data.

    Args:
        settings: the arguments of RePlay's ``SasRec.from_params``; ``batch_size``, 128 without it, as RecTools has it;
            ``negatives``, so many drawn for each batch for a sampled softmax in place of the full one.
        sequences: what it is trained on and recommends by.
        repeats_allowed: whether lists may hold what a customer had.
    """

    def __init__(self, settings: dict[str, Any], sequences: Sequences, repeats_allowed: bool) -> None:
        from replay.nn.lightning import LightningModule
        from replay.nn.lightning.optimizer import BaseOptimizerFactory, OptimizerFactory

        class OneOptimizer(BaseOptimizerFactory):  # type: ignore[misc]
            """Gives every fit the optimiser of the first one."""

            def create(self, parameters: Any) -> Any:
                if not hasattr(self, "made"):
                    self.made = OptimizerFactory().create(parameters)
                return self.made

        given = dict(settings)
        self._batch, self._negatives = given.pop("batch_size", 128), given.pop("negatives", None)
        self._length = given.setdefault("max_sequence_length", 50)
        self._articles = int(sequences.articles.max()) + 1
        self._sequences, self._repeats_allowed = sequences, repeats_allowed
        self._network = self._network_of(given)
        self._module = LightningModule(self._network, OneOptimizer())
        self._folder = tempfile.TemporaryDirectory()
        self._train = Path(self._folder.name) / "train.parquet"
        pq.write_table(self._table(2, self._length + 1), self._train)
        self._known = {last: self._table(last, self._length) for last in (1, 2)}

    def train(self) -> None:
        """One epoch more."""
        from replay.data.nn import ParquetModule
        from replay.nn.transform import UniformNegativeSamplingTransform
        from replay.nn.transform.template import make_default_sasrec_transforms

        transforms = make_default_sasrec_transforms(self._schema)
        if self._negatives is not None:
            drawn = UniformNegativeSamplingTransform(self._articles, min(self._negatives, self._articles - 1))
            transforms["train"].append(drawn)
        shape = {ARTICLE: {"shape": self._length + 1, "padding": self._articles}}
        data = ParquetModule(self._batch, {"train": shape}, transforms, train_path=str(self._train))
        self._module.train()
        self._trainer().fit(self._module, data)

    def lists(self, customers: Integers, last: int) -> pd.DataFrame:
        """RePlay's lists as ``customer, article, rank``."""
        from replay.data.nn import ParquetModule
        from replay.nn.lightning.callback import TorchTopItemsCallback
        from replay.nn.lightning.postprocessor import SeenItemsFilter
        from replay.nn.transform.template import make_default_sasrec_transforms

        table = self._known[last].take(pa.array(customers))  # row i is customer i
        seen = int(pa.compute.max(pa.compute.list_value_length(table[SEEN])).as_py())
        path = Path(self._folder.name) / "predict.parquet"
        pq.write_table(table, path)
        shapes = {
            CUSTOMER: {},
            ARTICLE: {"shape": self._length, "padding": self._articles},
            SEEN: {"shape": seen, "padding": self._articles},
        }
        filters = [] if self._repeats_allowed else [SeenItemsFilter(self._articles, SEEN)]
        made = TorchTopItemsCallback(K, CUSTOMER, postprocessors=filters)
        transforms = make_default_sasrec_transforms(self._schema)
        data = ParquetModule(self._batch, {"predict": shapes}, transforms, predict_path=str(path))
        self._trainer(made).predict(self._module, data, return_predictions=False)
        whom, articles, _ = made.get_result()
        ranks = np.tile(np.arange(1, K + 1), len(whom))
        listed = {"customer": np.repeat(whom.numpy().ravel(), K), "article": articles.numpy().ravel(), "rank": ranks}
        return pd.DataFrame(listed).astype(np.int64)

    def weights(self) -> dict[str, Any]:
        """Of the network."""
        state: dict[str, Any] = self._network.state_dict()
        return state

    def restore(self, weights: dict[str, Any]) -> None:
        """Of the network."""
        self._network.load_state_dict(weights)

    def _network_of(self, given: dict[str, Any]) -> Any:
        from replay.data import FeatureHint, FeatureSource, FeatureType
        from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
        from replay.nn.loss import CESampled
        from replay.nn.sequential import SasRec

        article = TensorFeatureInfo(
            ARTICLE,
            FeatureType.CATEGORICAL,
            is_seq=True,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, ARTICLE)],
            cardinality=self._articles,
            padding_value=self._articles,
            embedding_dim=given.setdefault("embedding_dim", 192),
        )
        self._schema = TensorSchema([article])
        network = SasRec.from_params(self._schema, **given)
        return network if self._negatives is None else SasRec(network.body, CESampled(ignore_index=self._articles))

    def _table(self, last: int, length: int) -> pa.Table:
        """The histories of all customers, one row each: the ``length`` last articles, and all of them."""
        seen = self._sequences.before(last).groupby("customer")["article"].agg(list)
        lists = pa.list_(pa.int64())
        columns = {
            CUSTOMER: pa.array(seen.index.to_numpy(), pa.int64()),
            ARTICLE: pa.array([each[-length:] for each in seen], lists),
            SEEN: pa.array(list(seen), lists),
        }
        return pa.table(columns)

    def _trainer(self, *callbacks: Any) -> Any:
        from lightning import Trainer

        return Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_val_batches=0,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )


def main(given: list[str] | None = None) -> None:
    """Fit epoch by epoch, judge, print."""
    options = side_arguments(__doc__).parse_args(given)
    import torch

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # of its own defaults: partitions, loaders without workers
    torch.set_num_threads(options.threads)
    pa.set_cpu_count(options.threads)
    pa.set_io_thread_count(options.threads)
    torch.manual_seed(SEED)
    print(measure_peer(options, SASRec).model_dump_json())


if __name__ == "__main__":
    main()
