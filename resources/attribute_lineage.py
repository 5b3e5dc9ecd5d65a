"""Where a predicted attribute comes from, gathered from the stores.

What belongs here: finding the row and the days before it, what the model had read, the bundle, and whether all of that
is still as it was; asking the bundle again. What does not: why the bundle says so
(:mod:`atelier.attributes.explanation`), showing it (:mod:`atelier.report.lineage`, the command ``atelier lineage``),
and the view of the same name in ``atelier.duckdb``, which shows every row but asks no model.
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.attributes import lineage
from atelier.errors import AtelierError
from resources.article_of_day import INGESTED, ArticleOfDay, read_article
from resources.embedding_cache import EmbeddingCache
from resources.encoders import BACKBONE, backbone_of
from resources.frames import rows_of
from resources.model_store import ModelStore
from resources.publishing import select_sql
from resources.tables import REGISTRY
from resources.tables.attributes import PREDICTED_ATTRIBUTES

if TYPE_CHECKING:
    from atelier.attributes import AttributeModel
    from atelier.attributes.explanation import Explanation
    from resources.feature_store import FeatureStore
    from resources.retailer import Home

TABLE = PREDICTED_ATTRIBUTES.name
MODEL = "attribute_model"
#: Prediction is float32; another size of batch, or another device, changes the last digits of a probability.
TOLERANCE = 1e-4
NEAREST = 5

Row = dict[str, Any]


class LineageError(AtelierError):
    """There is no such value; the message names the values that there are."""


class Tracer:
    """Tells where values of ``predicted_attributes`` come from.

    Args:
        store: the feature store.
        models: the bundles.
        cache: the vectors of photographs.
        image_root: the source's folder of images; None: photographs cannot be looked at.
    """

    def __init__(
        self, store: "FeatureStore", models: ModelStore, cache: EmbeddingCache, image_root: Path | None
    ) -> None:
        self._store = store
        self._models = models
        self._cache = cache
        self.image_root = image_root
        self._opened: dict[str, AttributeModel] = {}

    @classmethod
    def of_home(cls, home: "Home") -> "Tracer":
        """The tracer of a home."""
        return cls(home.open_store(), ModelStore(home.storage), EmbeddingCache(home.storage), image_root(home))

    def trace(
        self, article: str, attribute: str, ds: date | None = None, *, as_of: date | None = None
    ) -> lineage.AttributeLineage:
        """Where the value of an article's attribute comes from.

        Args:
            article: the article.
            attribute: the attribute.
            ds: the day; None: the newest day that has the value.
            as_of: compare with no later day than this; None: with the newest that was ingested.

        Raises:
            LineageError: there is no such value; the message names the nearest articles, attributes or days.
            PartitionMissing: nothing was predicted on ``ds``.
        """
        days = self._days(article, attribute, ds)
        row = days[-1]
        ds = row["ds"]
        newest = max((day for day in self._ingested_days() if as_of is None or day <= as_of), default=ds)
        then = read_article(self._store, article, ds)
        now = then if newest == ds else read_article(self._store, article, newest)
        model = self._model(MODEL, row["model_id"])
        backbone_id = backbone_of(self._models.storage, then.encoders)
        explanation, unexplained = self._explain(row, then)
        return lineage.AttributeLineage(
            article_id=article,
            attribute=attribute,
            stored=_day_value(row),
            alternatives=tuple((each["value"], each["probability"]) for each in row["alternatives"] or ()),
            name=then.row.get("name"),
            product_type=then.row.get("product_type"),
            gone_since=None if now.known else newest,
            photographs=tuple(self._photograph(digest, then, now) for digest in row["image_digests"]),
            text=lineage.TextRead(
                digest=row["text_digest"],
                text=then.text,
                same=then.text_digest == row["text_digest"],
                current=now.text_digest == row["text_digest"],
            ),
            model=model,
            backbone_id=backbone_id,
            backbone=self._model(BACKBONE, backbone_id),
            written=self._writing(ds),
            earlier=tuple(_day_value(each) for each in reversed(days[:-1])),
            computed_from=PREDICTED_ATTRIBUTES.by_name["value"].lineage,
            explanation=explanation,
            unexplained=unexplained,
            differences=_differences(row, then, explanation, model),
        )

    def _ingested_days(self) -> set[date]:
        """The days with both articles and photographs: an ingest may be half-way."""
        return set.intersection(*({p.ds for p in self._store.pointers(table)} for table in INGESTED))

    # The row and the days before it ------------------------------------------------------------------------------

    def _days(self, article: str, attribute: str, ds: date | None) -> list[Row]:
        """The rows of the value by day, the last one that of ``ds``."""
        if ds is not None:
            self._store.connect(as_of=ds, tables=[TABLE]).close()  # a day without predictions has an error of its own
        pointers = [pointer for pointer in self._store.pointers(TABLE) if ds is None or pointer.ds <= ds]
        if not pointers:
            raise LineageError("nothing has been predicted yet; run `make demo`, or daily_retrain for a day")
        files = [(self._store.location(pointer), pointer.ds) for pointer in pointers]
        select = f"SELECT * FROM ({select_sql(PREDICTED_ATTRIBUTES, files)})"  # noqa: S608 - our own names and files
        wanted = "WHERE article_id = $article AND attribute = $attribute ORDER BY ds"
        with self._store.connect(as_of=pointers[-1].ds, tables=[]) as con:
            rows = rows_of(con.execute(f"{select} {wanted}", {"article": article, "attribute": attribute}))
        if not rows or (ds is not None and rows[-1]["ds"] != ds):
            raise self._no_such_value(article, attribute, ds or pointers[-1].ds, [row["ds"] for row in rows])
        return rows

    def _no_such_value(self, article: str, attribute: str, ds: date, earlier: Sequence[date]) -> LineageError:
        """The error that says which values there are instead."""
        if earlier:
            days = ", ".join(map(str, earlier))
            return LineageError(f"{attribute} of {article} has no value on {ds}; it has one on {days}")
        with self._store.connect(as_of=ds, tables=[TABLE]) as con:
            of_article = f"SELECT attribute FROM {TABLE} WHERE article_id = $article ORDER BY attribute"  # noqa: S608
            has = ", ".join(name for (name,) in con.execute(of_article, {"article": article}).fetchall())
            if not has:
                near = _nearest(con, "article_id", article)
                return LineageError(f"no article {article!r} in {TABLE} of {ds}; the nearest names are {near}")
            of_attribute = f"SELECT 1 FROM {TABLE} WHERE attribute = $attribute LIMIT 1"  # noqa: S608 - registry
            if con.execute(of_attribute, {"attribute": attribute}).fetchall():
                return LineageError(f"{attribute} does not apply to article {article} on {ds}; it has {has}")
            near = _nearest(con, "attribute", attribute)
            return LineageError(
                f"no attribute {attribute!r} in {TABLE} of {ds}; the nearest names are {near}; {article} has {has}"
            )

    # What was read, and what wrote it ----------------------------------------------------------------------------

    def _photograph(self, digest: str, then: ArticleOfDay, now: ArticleOfDay) -> lineage.PhotographRead:
        shot, path = then.images.get(digest, (None, None))
        problem = _problem(self.image_root, path, digest)
        return lineage.PhotographRead(digest, shot, path, problem, current=digest in now.image_digests)

    def _writing(self, ds: date) -> lineage.Writing:
        pointer = self._store.pointer(TABLE, ds)
        if pointer is None:  # a pointer is replaced, never removed
            raise LineageError(f"the partition ds={ds} of {TABLE} has gone; ask again")
        return lineage.Writing(pointer.run_id, pointer.written_at, pointer.data_version)

    # The bundle --------------------------------------------------------------------------------------------------

    def _model(self, name: str, model_id: str | None) -> lineage.TrainedModel | None:
        manifest = self._models.readable_manifest(name, model_id) if model_id else None
        if manifest is None:
            return None
        day = date.fromisoformat(manifest.training_day)
        return lineage.TrainedModel(
            name=manifest.name,
            model_id=manifest.model_id,
            training_day=manifest.training_day,
            code_version=manifest.code_version,
            seed=manifest.seed,
            libraries=manifest.libraries,
            upstreams=tuple(
                lineage.UpstreamRead(upstream, version, self._is_current(upstream, version, day))
                for upstream, version in sorted(manifest.upstreams.items())
            ),
        )

    def _is_current(self, upstream: str, version: str, day: date) -> bool:
        """Whether a table is as it was read on ``day``, or another model is still on disk."""
        if upstream in REGISTRY:
            return version == self._store.data_version(upstream, day)
        return self._models.exists(upstream, version)

    def _explain(self, row: Row, then: ArticleOfDay) -> "tuple[Explanation | None, str | None]":
        """The explanation of the recorded bundle's prediction; or the reason why there is none."""
        if row["prediction"] is None:
            return None, "No model predicted it: too few articles are labelled with any value of this attribute."
        if not then.known:
            return None, f"The catalogue of {row['ds']} was written again since, without this article."
        from atelier.attributes.explanation import explain

        try:
            model = self._open(row["model_id"])
            return explain(model, self._frame(row, then), row["attribute"], row["prediction"]), None
        except AtelierError as error:
            return None, f"The explanation cannot be computed: {error}"

    def _open(self, model_id: str) -> "AttributeModel":
        if model_id not in self._opened:
            from atelier.attributes import AttributeModel

            self._opened[model_id] = AttributeModel.load(self._models.bundle(MODEL, model_id).path)
        return self._opened[model_id]

    def _frame(self, row: Row, then: ArticleOfDay) -> Any:
        """The article as the bundle read it: the recorded photographs, and the text and metadata of that day."""
        import pandas as pd

        digests, vectors = row["image_digests"], None
        if digests:
            if (many := len(then.encoders)) != 1:
                raise LineageError(f"image_embeddings of {row['ds']} was written again, by {many} encoders")
            vectors = self._cache.read(digests, then.encoders[0])
        return pd.DataFrame([{**then.row, "embeddings": vectors}])


def image_root(home: "Home") -> Path | None:
    """The source's folder of images; None where the source cannot be opened."""
    try:
        return home.open_source().image_root
    except AtelierError:
        return None  # every photograph is then shown as one that cannot be looked at


def _nearest(con: Any, column: str, name: str) -> str:
    """The names most like ``name``, by Jaro-Winkler similarity."""
    found = con.execute(
        f'SELECT "{column}" FROM (SELECT DISTINCT "{column}" FROM {TABLE})'  # noqa: S608 - names of the registry
        f' ORDER BY jaro_winkler_similarity("{column}", $name) DESC, "{column}" LIMIT {NEAREST}',
        {"name": name},
    ).fetchall()
    return ", ".join(str(row[0]) for row in found) or "none: the table is empty"


def _day_value(row: Row) -> lineage.DayValue:
    return lineage.DayValue(
        **{name: row[name] for name in ("ds", "value", "source", "confidence", "prediction", "model_id")}
    )


def _problem(root: Path | None, path: str | None, digest: str) -> str | None:
    """Why the photograph cannot be shown as it was read; None where it can."""
    from atelier.images.decode import ImageRejected, read

    if path is None:
        return "that day lists it no more"
    if root is None:
        return "the source cannot be opened"
    try:
        data = read(path, root)
    except ImageRejected as rejected:
        return rejected.reason
    return None if hashlib.sha256(data).hexdigest() == digest else "the file has changed since"


def _numbers_differ(row: Row, explanation: "Explanation") -> list[str]:
    found = []
    if abs(explanation.probability - row["confidence"]) > TOLERANCE:
        now = f"{explanation.probability:.6f}"
        found.append(f"the probability of {row['prediction']} is {now} now, and {row['confidence']:.6f} is stored")
    if explanation.best_probability - explanation.probability > TOLERANCE:
        found.append(f"the most probable value is {explanation.best} now, and {row['prediction']} is stored")
    return found


def _differences(
    row: Row, then: ArticleOfDay, explanation: "Explanation | None", model: lineage.TrainedModel | None
) -> tuple[str, ...]:
    """How the bundle's answer of today differs from the stored value, and what may be the cause."""
    if row["prediction"] is None or not then.known:
        return ()
    found = [] if explanation is None else _numbers_differ(row, explanation)
    if then.text_digest != row["text_digest"]:
        found.append(f"the text of {row['ds']} is another one: its digest is {then.text_digest}")
    if then.image_digests != tuple(row["image_digests"]):
        found.append(f"the photographs of {row['ds']} are others: {', '.join(then.image_digests) or 'none'}")
    if found and model is not None:
        rewritten = [each.table for each in model.upstreams if not each.current and each.table in REGISTRY]
        found += [f"{table} of {model.training_day} was written again since the training" for table in rewritten]
    return tuple(found)
