"""The days that ``two_stage`` learns from: what counted before each of them, and what was chosen on it.

What belongs here: how interactions are cut into days, and which of them count on which. What does not: what is made of
a day (:mod:`~atelier.recommenders.two_stage.two_stage`).

A purchase counts in what is known before a day unless it was sent back before that day: a later return was not known
then. It is a label only if it was never sent back, as far as all interactions tell, for this is what lists are
evaluated by. So labels may know later returns, and features never do.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np

from atelier.arrays import Mask
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.kinds import RETURN
from atelier.recommenders.two_stage.histories import MICROSECONDS_A_DAY, UNKNOWN
from atelier.recommenders.two_stage.snapshot import moment_after
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from atelier.search.ragged import Indices, place_in_row


@dataclass(frozen=True, eq=False)
class TrainingDay:
    """A moment, and the rows around it.

    Attributes:
        before: bool [rows], what happened before the moment, returns included.
        label: bool [rows], what was chosen after it.
        as_of: the moment in microseconds since 1970, ``UNKNOWN`` where there are no dates.
    """

    before: Mask
    label: Mask
    as_of: int


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Interactions whose earlier days are looked back at.

    Attributes:
        rows: of the kinds that count, those that were sent back and the returns themselves included; numbered by all
            customers and articles of the model.
        kinds: the kinds that count.
        kept: bool [rows], what counts when all rows are known.
    """

    rows: Interactions
    kinds: Collection[str]
    kept: Mask

    @classmethod
    def of(cls, everything: Interactions, kinds: Collection[str], customer_ids: IdMap, article_ids: IdMap) -> Self:
        """The rows of all interactions that are looked back at, numbered by the maps given."""
        read = everything.rows(everything.counted((*kinds, RETURN))).aligned(customer_ids, article_ids)
        return cls(read, kinds, read.counted(kinds))

    def known(self, before: Mask) -> Interactions:
        """What counted when only the rows ``before`` (bool [rows]) were known, numbered as all rows are."""
        then = self.rows.rows(before)
        return then.rows(then.counted(self.kinds)).aligned(self.rows.customer_ids, self.rows.article_ids)

    def days(self, config: TwoStageConfig) -> list[TrainingDay]:
        """The days that are learned from, the newest first; without dates one, the last choice of each customer."""
        label = self.kept.copy()
        if self.rows.kinds is not None:
            label &= np.asarray(self.rows.kinds.isin(list(config.label_kinds)), dtype=bool)
        if not self.rows.dated:
            place, last = self._places()
            return [TrainingDay(place < last, (place == last) & label, UNKNOWN)]
        times = self.rows.occurred_at.astype(np.int64)
        end, horizon = moment_after(self.rows.rows(self.kept)), config.horizon_days * MICROSECONDS_A_DAY
        starts = [end - horizon - day * MICROSECONDS_A_DAY for day in range(config.training_days)]
        return [
            TrainingDay(times < start, (times >= start) & (times < start + horizon) & label, start)
            for start in starts
            if (times < start).any()
        ]

    def oldest(self, config: TwoStageConfig) -> Mask:
        """The rows before the oldest day that is learned from, bool [rows]; all where there is no such day."""
        days = self.days(config)
        return days[-1].before if days else np.ones(len(self.rows), dtype=bool)

    def _places(self) -> tuple[Indices, Indices]:
        """The place of each row among its customer's, and that of the customer's last row that is kept; −1 for none."""
        m = len(self.rows.customer_ids)
        place = place_in_row(self.rows.customers.astype(np.int64), m)
        last = np.full(m, -1, dtype=np.int64)
        np.maximum.at(last, self.rows.customers[self.kept], place[self.kept])
        return place, last[self.rows.customers]
