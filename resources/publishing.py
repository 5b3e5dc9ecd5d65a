"""The one DuckDB file that people open: ``atelier.duckdb``.

What belongs here: building it under another name, then replacing the old one. What does not: partitions and pointers
(:mod:`resources.feature_store`), and views that answer one question, which stand as ``sql/views/<name>.sql``: a SELECT
over the tables below, whose leading ``--`` lines become the view's comment.

It always shows the newest state of the whole store, whichever day asked for it:

- every registered table with ``ds`` as its first column: small ones copied with all their days, large ones as views
  over the Parquet files, those never written as empty tables of the declared types;
- ``latest_<table>``: the newest day of each (of each part, where a table has parts);
- ``materialisations``: which run wrote which partition;
- ``model_bundles``: what each model was trained on, read from the manifests;
- ``superseded``: what was made from data that have been replaced since (:mod:`resources.made_from`);
- ``promotions``: which recommender serves from which day on, read from the records of ``atelier promote``;
- ``image_embeddings`` with the vectors themselves, read from the embedding cache.

Views name their files by absolute path (or URL), so the file can be opened read-only from any folder; after moving
``ATELIER_HOME``, or a vacuum, publish again. A reader that has the old file open keeps it.

A store on object storage gets a copy of the file, for whoever cannot reach the home.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from atelier.errors import AtelierError
from atelier.file_pattern import file_pattern
from resources.embedding_cache import FOLDER as VECTORS
from resources.embedding_cache import EmbeddingCache
from resources.frames import empty_table
from resources.made_from import SUPERSEDED, superseded
from resources.made_from import rows as superseded_rows
from resources.model_bundles import MODEL_BUNDLES
from resources.model_bundles import rows as bundle_rows
from resources.model_store import ModelStore
from resources.pointers import Pointer
from resources.promotions import PROMOTIONS, Promotions
from resources.promotions import rows as promotion_rows
from resources.schema import Column, Table
from resources.staging import open_duckdb
from resources.storage import replace_file
from resources.tables import REGISTRY
from resources.views import DAY_OF_FILE, empty_sql, scan_sql, sql_identifier, sql_literal

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore

#: A table with more rows than this over all its days becomes a view even where it is not declared large.
COPY_ROWS = 2_000_000
#: The name of its copy in a store on object storage.
COPY = "atelier.duckdb"
VIEWS = Path(__file__).resolve().parent.parent / "sql" / "views"

MATERIALISATIONS = Table(
    "materialisations",
    "derived",
    "Which run wrote which partition: read from the pointers.",
    key=("table", "ds", "part"),
    columns=(
        Column("table", "VARCHAR", "The table."),
        Column("ds", "DATE", "The partition's day."),
        Column("part", "VARCHAR", "The part, for tables that several assets write.", nullable=True),
        Column("run_id", "VARCHAR", "The Dagster run; empty outside Dagster."),
        Column("written_at", "TIMESTAMP WITH TIME ZONE", "When it was published."),
        Column("data_version", "VARCHAR", "SHA-256 of the file."),
        Column("rows", "BIGINT", "Rows of the partition.", unit="rows", low=0),
        Column("file", "VARCHAR", "The Parquet file, relative to the store's folder."),
    ),
)

DS = Column("ds", "DATE", "The day.")
EMBEDDING = Column("embedding", "FLOAT[]", "The vector, from the embedding cache.", nullable=True)


CATALOGUE = (
    "The newest catalogue, one row for each article: what articles says, how many photographs it has, what it sold in"
    " the last 30 days, and a column for each attribute with its value: annotated, else predicted, null where the"
    " prediction is left open (abstained)."
)


class PublishError(AtelierError):
    """A view of ``sql/views`` cannot be created; the message names its file."""


@dataclass(frozen=True)
class PublishedSummary:
    """What was published.

    Attributes:
        path: the file.
        partitions: how many partitions (of parts) it shows.
        copied: rows of each table that was copied; empty tables included.
        views: the tables that are views over Parquet files.
        extra: the views of ``sql/views``.
        size: bytes of the file.
    """

    path: Path
    partitions: int
    copied: dict[str, int]
    views: tuple[str, ...]
    extra: tuple[str, ...]
    size: int


def publish(
    store: "FeatureStore", path: str | Path, *, views: Path = VIEWS, threads: int = 2, memory_limit: str = "4GB"
) -> PublishedSummary:
    """Build the database beside ``path`` and put it in place as a whole.

    Publishers wait for each other; the pointers are read after the wait, so the last one shows everything. Readers
    are never waited for: they keep the file that they opened.

    Args:
        store: whose partitions are shown.
        path: the file, ordinarily ``$ATELIER_HOME/atelier.duckdb``; beside it lies its lock.
        views: a folder of ``<name>.sql``, further views.
        threads: DuckDB's threads.
        memory_limit: of DuckDB; beyond it, it spills beside the file.

    Raises:
        PublishError: a further view cannot be created; the old file stays.
        PointerError: a pointer cannot be read; the message names it and the command that writes it again.
        PromotionError: a record of promotions cannot be read; the message names it and the remedy.
        DamagedFile: a partition's file is not what was written; the message names it and the command that makes it
            again. Of tables that become views the bytes are not read, so only their sizes are compared.
    """
    from filelock import FileLock

    target = Path(path).expanduser().absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f"{target.name}.building")
    with FileLock(target.with_name(f"{target.name}.lock")):
        for leftover in target.parent.glob(f"{building.name}*"):  # of a publisher that was killed
            leftover.unlink()
        spill = target.with_name(f"{target.name}.spill")
        with open_duckdb(spill, threads=threads, memory_limit=memory_limit, database=building) as connection:
            store.storage.prepare(connection)
            summary = _Publisher(store, connection).build(sorted(views.glob("*.sql")))
        # A client that wrote to the old file and was killed leaves its log beside it, which does not fit the new file
        # and would keep everybody from opening it. What it wrote goes with the old file.
        target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
        replace_file(building, target)
        store.storage.keep_file(target, COPY)
        return PublishedSummary(target, *summary, target.stat().st_size)


class _Publisher:
    """Fills one new, empty database."""

    def __init__(self, store: "FeatureStore", connection: duckdb.DuckDBPyConnection) -> None:
        self._store = store
        self._connection = connection
        self._pointers = store.pointers()
        self._storage = store.storage
        self._copied: dict[str, int] = {}
        self._views: list[str] = []

    def build(self, extra: Sequence[Path]) -> tuple[int, dict[str, int], tuple[str, ...], tuple[str, ...]]:
        """Create everything; returns partitions, rows copied, views, further views."""
        self._connection.begin()  # hundreds of statements: one write to disk, not one each
        self._small(MATERIALISATIONS, [asdict(pointer) for pointer in self._pointers])
        self._small(MODEL_BUNDLES, bundle_rows(ModelStore(self._storage).manifests()))
        self._small(SUPERSEDED, superseded_rows(superseded(self._storage)))
        self._small(PROMOTIONS, promotion_rows(Promotions(self._storage).history()))
        for table in REGISTRY.values():
            pointers = [pointer for pointer in self._pointers if pointer.table == table.name]
            try:
                self._table(table, pointers)
            except duckdb.Error:
                self._store.check(pointers)  # where a damaged file is the reason, this names it
                raise
        self._catalogue()
        for file in extra:
            self._extra(file)
        self._connection.commit()
        return len(self._pointers), self._copied, tuple(self._views), tuple(file.stem for file in extra)

    def _small(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """A table of rows that are in memory; what they hold beyond its columns is left out."""
        import pyarrow as pa

        self._create(table, table.columns)
        arrow = pa.Table.from_pylist(rows, schema=empty_table(table).schema)
        self._connection.register("rows_in_memory", arrow)
        self._connection.execute(f'INSERT INTO "{table.name}" SELECT * FROM rows_in_memory')  # noqa: S608 - our names
        self._connection.unregister("rows_in_memory")

    def _create(self, table: Table, columns: Sequence[Column]) -> None:
        types = ", ".join(f'"{column.name}" {column.type}' for column in columns)
        self._connection.execute(f'CREATE TABLE "{table.name}" ({types})')
        self._comment(table.name, "TABLE", described(table), columns)

    def _table(self, table: Table, pointers: list[Pointer]) -> None:
        """One table and its ``latest_`` view."""
        columns = (DS, *table.columns)
        if table.name == "image_embeddings":
            columns = (*columns, EMBEDDING)
            self._store.check(pointers, sizes_only=True)
            vectors = self._vectors()
            latest = with_vectors(self._select(table, newest(pointers)), vectors)
            self._view(table, columns, with_vectors(self._select(table, pointers), vectors))
        elif pointers and (table.large or sum(pointer.rows for pointer in pointers) > COPY_ROWS):
            self._store.check(pointers, sizes_only=True)
            latest = self._select(table, newest(pointers))
            self._view(table, columns, self._select(table, pointers))
        else:
            self._store.check(pointers)
            latest = latest_sql(table)
            self._copy(table, columns, pointers)
        self._connection.execute(f'CREATE VIEW "latest_{table.name}" AS {latest}')
        self._comment(f"latest_{table.name}", "VIEW", f"The newest day. {table.description}", columns)

    def _view(self, table: Table, columns: Sequence[Column], select: str) -> None:
        self._connection.execute(f'CREATE VIEW "{table.name}" AS {select}')
        self._comment(table.name, "VIEW", described(table), columns)
        self._views.append(table.name)

    def _copy(self, table: Table, columns: Sequence[Column], pointers: list[Pointer]) -> None:
        self._create(table, columns)
        select = f"SELECT * FROM ({self._select(table, pointers)}) ORDER BY ds, {table.order}"  # noqa: S608 - registry
        counted = self._connection.execute(f'INSERT INTO "{table.name}" {select}').fetchone()
        self._copied[table.name] = counted[0] if counted else 0

    def _select(self, table: Table, pointers: list[Pointer]) -> str:
        return select_sql(table, [(self._store.location(pointer), pointer.ds) for pointer in pointers])

    def _comment(self, name: str, kind: str, text: str, columns: Sequence[Column]) -> None:
        self._connection.execute(f'COMMENT ON {kind} "{name}" IS {sql_literal(text)}')
        for column in columns:
            text = column.description + (f" Unit: {column.unit}." if column.unit else "")
            self._connection.execute(f'COMMENT ON COLUMN "{name}"."{column.name}" IS {sql_literal(text)}')

    def _vectors(self) -> str | None:
        """A SELECT of digest, encoder_id and embedding over the whole cache; None while it is empty.

        It names folders, not files: the cache only ever grows, and what it gains is seen at once.
        """
        cache, selects = EmbeddingCache(self._storage), []
        for encoder in cache.encoders():
            cache.mend(encoder)  # a view opens every file, and a damaged one would be in everybody's way
            if cache.files(encoder):
                files = f"{file_pattern(self._storage.location(f'{VECTORS}/{encoder}'))}/*.parquet"
                selects.append(
                    f"SELECT digest, {sql_literal(encoder)} AS encoder_id, CAST(embedding AS FLOAT[]) AS embedding"  # noqa: S608
                    f" FROM read_parquet({sql_literal(files)}, hive_partitioning = false)"
                )
        return " UNION ALL ".join(selects) if selects else None

    def _catalogue(self) -> None:
        """The view ``catalogue``: the newest articles, one row each, with a column for each attribute.

        A column is named as its attribute; where an article's own column has that name, ``attribute_<name>``.
        """
        rows = self._connection.execute(
            "SELECT DISTINCT attribute FROM latest_predicted_attributes ORDER BY 1"
        ).fetchall()
        taken = {name.casefold() for name in (*REGISTRY["articles"].by_name, "ds", "photographs", "sales_30d")}
        names: dict[str, str] = {}
        for (attribute,) in rows:
            name = f"attribute_{attribute}" if attribute.casefold() in taken else attribute
            if (
                name.casefold() not in taken
            ):  # of names that differ by case alone the first; SQL does not tell them apart
                taken.add(name.casefold())
                names[attribute] = name
        values = "".join(
            f', max("value") FILTER (attribute = {sql_literal(attribute)}) AS {sql_identifier(name)}'
            for attribute, name in names.items()
        )
        self._connection.execute(f"""
            CREATE VIEW catalogue AS
            SELECT article.*, coalesce(photographs, 0) AS photographs, sales_30d, described.* EXCLUDE (article_id)
            FROM latest_articles AS article
            LEFT JOIN (SELECT article_id, count(*) AS photographs FROM latest_images GROUP BY ALL) USING (article_id)
            LEFT JOIN (SELECT article_id, sales_30d FROM latest_article_features) USING (article_id)
            LEFT JOIN (
                SELECT article_id{values} FROM latest_predicted_attributes
                WHERE source <> 'abstained' GROUP BY article_id
            ) AS described USING (article_id)""")  # noqa: S608 - attributes are quoted
        self._connection.execute(f"COMMENT ON VIEW catalogue IS {sql_literal(CATALOGUE)}")

    def _extra(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8").strip().rstrip(";")
        comment = " ".join(line.removeprefix("--").strip() for line in leading_comment(text))
        try:
            self._connection.execute(f'CREATE VIEW "{file.stem}" AS {text}')
            self._connection.execute(f'COMMENT ON VIEW "{file.stem}" IS {sql_literal(comment)}')
        except duckdb.Error as error:
            raise PublishError(f"{file}: {error}; it must be one SELECT over the tables of atelier.duckdb") from error


def described(table: Table) -> str:
    """What a table holds, and for one of states rather than events what its rows are counted by."""
    if table.kind == "event" or table.name not in REGISTRY:
        return table.description
    return f"{table.description} A row for every day ds: join on ds too, or use latest_{table.name}."


def leading_comment(text: str) -> list[str]:
    """The lines before the first that is not a ``--`` comment."""
    lines = text.splitlines()
    code = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return lines[:code]


def newest(pointers: Sequence[Pointer]) -> list[Pointer]:
    """The newest day's pointer, or one for each part."""
    found = {pointer.part: pointer for pointer in sorted(pointers, key=lambda pointer: pointer.ds)}
    return list(found.values())


def select_sql(table: Table, files: Sequence[tuple[str, date]]) -> str:
    """A SELECT of ds and the declared columns over explicit files.

    Args:
        table: the table.
        files: file and day. A snapshot may name the file of an earlier day, so one file may stand for several days.
            Without files there are no rows, but the columns have their types.
    """
    own = [name for name, ds in files if f"/ds={ds}/" in name]
    shared = [(name, ds) for name, ds in files if f"/ds={ds}/" not in name]
    if not files:
        return f"SELECT ds, {table.names} FROM ({empty_sql(table)})"  # noqa: S608 - our own names and files
    selects = []
    if own:  # the day stands in the path, so a query for one day opens that day's file only
        selects.append(f"SELECT {DAY_OF_FILE} AS ds, {table.names} FROM {scan_sql(own)}")  # noqa: S608 - as above
    if shared:
        distinct = scan_sql(sorted({name for name, _ in shared}))
        days = ", ".join(f"({sql_literal(name)}, DATE '{ds}')" for name, ds in shared)
        joined = f"{distinct} JOIN (VALUES {days}) AS pointers(filename, ds) USING (filename)"
        selects.append(f"SELECT ds, {table.names} FROM {joined}")  # noqa: S608 - as above
    return " UNION ALL ".join(selects)


def latest_sql(table: Table) -> str:
    """A SELECT of the newest day of a copied table, or of each part's; a newest day without rows gives none."""
    part = f' AND t."{table.part}" = newest.part' if table.part else ""
    return (
        f'SELECT t.* FROM "{table.name}" AS t JOIN'  # noqa: S608 - names of the registry
        ' (SELECT part, max(ds) AS ds FROM materialisations WHERE "table" = '
        f"{sql_literal(table.name)} GROUP BY part) AS newest ON t.ds = newest.ds{part}"
    )


def with_vectors(select: str, vectors: str | None) -> str:
    """The rows of ``image_embeddings`` with their vectors; null where the cache has none."""
    if vectors is None:
        return f"SELECT *, CAST(NULL AS FLOAT[]) AS embedding FROM ({select})"  # noqa: S608 - names of the registry
    return f"SELECT e.*, v.embedding FROM ({select}) AS e LEFT JOIN ({vectors}) AS v USING (digest, encoder_id)"  # noqa: S608
