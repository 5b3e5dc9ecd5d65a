"""Customers in the bundles of models.

What belongs here: bundles that keep rows of customers, and which models have learned from a customer. What does not:
which arrays of a model are about customers, which the models know
(:meth:`atelier.recommenders.base.Recommender.forget`).

A bundle without the customer has other files and so another id: its days and the bundles that were made from it are
given the new one, and the tables that name it have to follow. Until they have, the old bundle stays, so that a process
that is killed can be followed by another. What a model has learned from all customers together stays in its weights.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from resources.bundle_manifest import MANIFEST, BundleManifest
from resources.forgetting.partitions import EVIDENCE
from resources.model_store import Bundle, ModelStore
from resources.retailer import Home
from resources.tables import REGISTRY


@dataclass(frozen=True)
class Retold:
    """A bundle that kept rows of customers.

    Attributes:
        model: its name.
        training_day: the last day that it has seen.
        customers: of how many of the customers it kept rows.
    """

    model: str
    training_day: date
    customers: int


class CustomerBundles:
    """The bundles of a home that have to do with customers.

    Args:
        home: nobody else may write into it meanwhile.
        customers: identifiers.

    Attributes:
        renamed: the new id of each bundle that :meth:`forget` replaced, by the old one.
    """

    def __init__(self, home: Home, customers: Sequence[str]) -> None:
        self._models = ModelStore(home.storage)
        self._replaced: list[Bundle] = []
        self._visited: set[tuple[str, str]] = set()
        self.renamed: dict[str, str] = {}
        self._customers = list(customers)
        self._manifests: dict[tuple[str, str], BundleManifest] = {}
        for name in self._models.names():
            for identity in self._models.ids(name):
                if (manifest := self._models.manifest(name, identity)) is not None:
                    self._manifests[name, identity] = manifest

    def learned(self, first_days: Mapping[str, date]) -> dict[str, dict[str, date]]:
        """For each customer, by model, the last day on which it was trained on the customer's rows.

        That is every model made, by whatever steps, from customers or interactions, since the customer's first day.
        A model that keeps a row of a customer counts too, where the store has lost the day.

        Args:
            first_days: the first day on which the store has a row of each customer.
        """
        last: dict[str, list[date]] = defaultdict(list)
        trained = _from_customers(self._manifests.values())
        for (name, _), manifest in self._manifests.items():
            if name in trained:
                last[name].append(date.fromisoformat(manifest.training_day))
        found: dict[str, dict[str, date]] = {
            customer: {name: max(days) for name, days in last.items() if max(days) >= first}
            for customer, first in first_days.items()
        }
        for key in self._manifests:
            day = date.fromisoformat(self._manifests[key].training_day)
            for customer in self._kept(key):
                models = found.setdefault(customer, {})
                models[key[0]] = max(day, models.get(key[0], day))
        return {customer: models for customer, models in found.items() if models}

    def forget(self) -> Iterator[Retold]:
        """Put bundles without the customers in the place of those that keep them, and yield what these kept.

        Bundles that no day names are among them. :meth:`remove_replaced` ends it.

        Raises:
            BundleError: a bundle is damaged; the message names the command that trains it again.
        """
        # A model may start from that of the day before: from the oldest on, no chain of them is long.
        for key in sorted(self._manifests, key=lambda key: self._manifests[key].training_day):
            yield from self._replace(key)

    def _kept(self, key: tuple[str, str]) -> list[str]:
        """Which of the customers a bundle keeps rows of."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from atelier.ids import IdMap
        from atelier.recommenders.base import CUSTOMERS

        if CUSTOMERS not in self._manifests[key].files:
            return []
        ids = IdMap.load(self._models.file(*key, CUSTOMERS))
        wanted = pa.array(self._customers, pa.large_string())
        kept: list[str] = wanted.filter(pc.is_in(wanted, value_set=ids.values)).to_pylist()
        return kept

    def _replace(self, key: tuple[str, str]) -> Iterator[Retold]:
        """Replace a bundle, after those that it was made from, if it keeps customers or one of those was replaced."""
        if key in self._visited:
            return
        self._visited.add(key)
        manifest = self._manifests[key]
        made_from = [each for each in manifest.upstreams.items() if each in self._manifests]
        for upstream in made_from:
            yield from self._replace(upstream)
        models = {name: self.renamed[identity] for name, identity in made_from if identity in self.renamed}
        kept = self._kept(key)
        if kept or models:
            old = self._models.bundle(*key)
            new = self._models.replace(old, partial(self._save, old, bool(kept)), models)
            self.renamed[old.model_id] = new.model_id
            self._replaced.append(old)
        if kept:
            yield Retold(key[0], date.fromisoformat(manifest.training_day), len(kept))

    def remove_replaced(self) -> None:
        """Remove the old bundles, when no table names them any more; those made from others before these."""
        for bundle in reversed(self._replaced):
            self._models.remove(bundle)

    def _save(self, bundle: Bundle, keeps_customers: bool, folder: Path) -> None:
        """Write what is left of a bundle's files into a folder."""
        if keeps_customers:
            from atelier import recommenders

            model = recommenders.load(bundle.path)
            model.forget(self._customers)
            model.save(folder)
        else:
            shutil.copytree(bundle.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))


def _from_customers(manifests: Iterable[BundleManifest]) -> set[str]:
    """The names of models that were made, by whatever steps, from customers or interactions."""
    upstreams: dict[str, set[str]] = {name: set(table.upstreams) for name, table in REGISTRY.items()}
    for manifest in manifests:
        upstreams.setdefault(manifest.name, set()).update(manifest.upstreams)
    found = set(EVIDENCE)
    while more := {name for name, read in upstreams.items() if read & found} - found:
        found |= more
    return found - REGISTRY.keys()
