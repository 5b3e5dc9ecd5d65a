"""The H&M Kaggle files as a source: articles, customers and transactions_train (CSV or Parquet), and photographs.

What belongs here: how the files become days. What does not: which column becomes what
(:mod:`atelier.sources.hm_layout`), the folder of photographs (:mod:`atelier.sources.hm_images`).

Nothing of a later day shows on a day: an article's first sale, price and stock are computed from the sales up to that
day, so an article that is sold later looks like one that is never sold.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from atelier.answers import FEEDBACK
from atelier.errors import SourceError
from atelier.file_pattern import file_pattern
from atelier.sources.base import check_request, source_error
from atelier.sources.columns import LAYOUTS
from atelier.sources.day_files import file_on, files_by_day
from atelier.sources.hidden_labels import HideLabels, split_labels
from atelier.sources.hm_images import land_photographs
from atelier.sources.hm_layout import SALES, SALES_OF_A_DAY, HmOptions, articles_layout, customers_layout, index_columns
from atelier.sources.landed import Landed
from atelier.sources.reading import ROW, Raw, count, engine, file_types, literal, load, renumber, scan, sql_identifier
from atelier.sources.validation import BOUNDS, LATEST, Checked, check, check_columns, empty, land, remember, rows_query

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IN_STOCK_DAYS", "HmOptions", "HmSource"]

IN_STOCK_DAYS = 28
"""An article counts as in stock while its last sale is less than this many days ago: the files do not say."""

TOO_MANY_LATE = 1_000_000
"""If more transactions than this come after last_day, the option is wrong and not the rows."""


class HmSource:
    """A folder with the H&M Kaggle files; some of them may be missing (see docs/sources.md).

    Attributes:
        root: the folder.
        image_root: the folder ``images`` in it; it may be absent.
        options: how it is read.
        files: articles, transactions_train and, where it is there, customers.
        feedback: the files of people's answers about outfits, by day.

    Raises:
        SourceError: the folder, its articles or its transactions are missing.
    """

    def __init__(self, root: Path, options: HmOptions | None = None) -> None:
        self.root = root
        self.image_root = root / "images"
        self.options = options or HmOptions()
        if not root.is_dir():
            raise source_error(root, "there is no such folder", "Correct the source's path.")
        self.feedback = files_by_day(root, FEEDBACK)
        found = {stem: _find(root, stem) for stem in ("articles", "customers", "transactions_train")}
        self.files = {stem: file for stem, file in found.items() if file}
        for stem in ("articles", "transactions_train"):
            if stem not in self.files:
                raise _absent(root, stem)

    @property
    def tables(self) -> frozenset[str]:
        """All but outfits; customers, and people's answers about outfits, where their files are there."""
        always = {"articles", "interactions", "annotated_attributes", "images"}
        return frozenset(always | ({"customers"} & self.files.keys()) | ({FEEDBACK} if self.feedback else set()))

    @property
    def first_day(self) -> date:
        """The option ``first_day``, or else the first day of the transactions."""
        return self.options.first_day or self._span[0]

    @property
    def last_day(self) -> date | None:
        """The option ``last_day``, or else the last day of the transactions."""
        return self.options.last_day or self._span[1]

    @cached_property
    def _span(self) -> tuple[date, date]:
        """The first and last readable date of the transactions: one pass over one column.

        Raises:
            SourceError: no row has a readable date.
        """
        file = self.files["transactions_train"]
        with engine(self.options) as (connection, _):
            _check_sales_columns(connection, self)
            statement = """
                CREATE OR REPLACE TEMP TABLE span AS SELECT min(day), max(day)
                FROM (SELECT TRY_CAST(t_dat AS DATE) AS day FROM {rows}) WHERE day BETWEEN $earliest AND $latest"""
            scan(connection, file, statement, "malformed", BOUNDS)
            [(first, last)] = connection.execute("FROM span").fetchall()
        if first is None:
            raise source_error(file, "no row has a readable date", "Write dates as YYYY-MM-DD.", column="t_dat")
        return first, last

    def files_of(self, table: str, day: date) -> Sequence[Path]:
        """The files that a table of one day is read from: see :meth:`atelier.sources.base.Source.files_of`.

        Every file holds all days, so that a change of one is a change of every day.
        """
        answers = file_on(self.feedback, day) if table == FEEDBACK else None
        return [*self.files.values(), *([] if answers is None else [answers])]

    def land(self, table: str, days: Sequence[date]) -> Iterator[tuple[date, Landed]]:
        """Read one table for a range of days: see :meth:`atelier.sources.base.Source.land`.

        The transactions are read once for the whole range: for ``interactions`` into temporary Parquet files, one for
        each day of the range (about as large as a Parquet file of the transactions), for ``articles`` into the sales
        of each article and day.

        Yields:
            Every day, in order. A snapshot that did not change comes as the same object.
        """
        check_request(self, table, days)
        if not days:
            return
        with engine(self.options) as (connection, folder):
            reader = _Reader(self, connection)
            readers: dict[str, Callable[[], Callable[[date], Landed]]] = {
                "articles": lambda: reader.articles(days[-1]),
                "customers": lambda: _always(reader.customers()),
                "interactions": lambda: reader.interactions(days[0], days[-1], folder),
                "annotated_attributes": lambda: _always(reader.labels()),
                "images": lambda: _always(reader.images()),
                FEEDBACK: reader.answers,
            }
            on = readers[table]()
            for day in days:
                yield day, on(day)

    def hidden_labels(self) -> "pd.DataFrame":
        """The labels that ``hide_labels`` keeps aside: article_id, attribute, value, sorted; the same on every day."""
        with engine(self.options) as (connection, _):
            table = _Reader(self, connection).label_table(hidden=True)
        frame: pd.DataFrame = table.to_pandas()
        return frame


class _Reader:
    """Lands the tables of one source in one connection."""

    def __init__(self, source: HmSource, connection: duckdb.DuckDBPyConnection) -> None:
        self.source = source
        self.root = source.root
        self.options = source.options
        self.connection = connection

    def _load(self, stem: str) -> Raw:
        return load(self.connection, self.source.files[stem], self.root, f"{stem}_raw")

    def _check_articles(self) -> Checked:
        return check(self.connection, self._load("articles"), articles_layout(self.options), self.root)

    def _check_customers(self) -> Checked:
        raw = self._load("customers")
        return check(self.connection, raw, customers_layout(raw.types), self.root)

    def _known(self, articles: Checked | None = None) -> dict[str, str]:
        """The SQL names of the tables of articles and customers that transactions may refer to."""
        known = {"articles": remember(self.connection, articles or self._check_articles(), "article_id")}
        if "customers" in self.source.tables:
            customers = self._check_customers()
            known["customers"] = remember(self.connection, customers, "customer_id")
            self.connection.execute(f"DROP TABLE {customers.relation}; DROP TABLE {customers.raw.relation}")
        return known

    def customers(self) -> Landed:
        """Everyone in the customers file."""
        checked = self._check_customers()
        landed = land(self.connection, checked)
        left_out = [
            f"column {name} is an index that pandas wrote: left out" for name in index_columns(checked.raw.types)
        ]
        return replace(landed, notes=(*landed.notes, *left_out))

    def articles(self, last: date) -> Callable[[date], Landed]:
        """The catalogue as it looks from each day, up to ``last``."""
        checked = self._check_articles()
        self._summarise_sales(checked, last)
        fixed = land(self.connection, checked, "article_id, product_code, name, description, product_type, division")
        yesterday: list[pa.Table] = []
        landed: list[Landed] = []

        def on(day: date) -> Landed:
            today = self._sold_by(checked, day)
            if not yesterday or not today.equals(yesterday[0]):
                yesterday[:] = [today]
                columns = {name: fixed.accepted.column(name) for name in fixed.accepted.column_names}
                columns |= {name: today.column(name) for name in today.column_names}
                ordered = {field.name: columns[field.name] for field in LAYOUTS["articles"].fields}
                landed[:] = [Landed(pa.table(ordered), fixed.rejected, fixed.rows_in, fixed.notes)]
            return landed[0]

        return on

    def _sold_by(self, checked: Checked, day: date) -> pa.Table:
        """The columns that change from day to day, of every valid article, in the order of the file."""
        return self.connection.sql(
            f"""SELECT CAST(NULL AS VARCHAR) AS brand, price, first_sale AS available_from,
                       CAST(NULL AS DATE) AS available_until,
                       coalesce(day > CAST($day AS DATE) - $window, false) AS in_stock
                FROM (SELECT {ROW}, article_id FROM {checked.relation} WHERE reason IS NULL) AS article
                LEFT JOIN (FROM spells WHERE day <= $day AND (next_day IS NULL OR next_day > $day)) USING (article_id)
                ORDER BY {ROW}""",  # noqa: S608 — our own names only
            params={"day": day, "window": IN_STOCK_DAYS},
        ).to_arrow_table()

    def _summarise_sales(self, articles: Checked, last: date) -> None:
        """Make the table ``spells``: for each article and day with sales, what is valid until its next such day."""
        known = self._known(articles)
        last = min(last, self.options.last_day or last)
        raw = Raw("{rows}", _check_sales_columns(self.connection, self.source), "", "")
        statement = f"""
            CREATE OR REPLACE TEMP TABLE sales AS
            SELECT article_id, CAST(occurred_at AS DATE) AS day, arg_max(price, {ROW}) AS price
            FROM ({rows_query(raw, SALES, known)})
            WHERE fault IS NULL AND day <= $last GROUP BY ALL"""  # noqa: S608 — our own names only
        scan(self.connection, self.source.files["transactions_train"], statement, "malformed", {"last": last})
        self.connection.execute("""
            CREATE TEMP TABLE spells AS
            SELECT article_id, day, min(day) OVER (PARTITION BY article_id) AS first_sale,
                   lead(day) OVER so_far AS next_day,
                   last_value(price IGNORE NULLS) OVER (so_far ROWS UNBOUNDED PRECEDING) AS price
            FROM sales WINDOW so_far AS (PARTITION BY article_id ORDER BY day)""")
        self.connection.execute("DROP TABLE sales")

    def interactions(self, first: date, last: date, folder: Path) -> Callable[[date], Landed]:
        """The transactions of each day, after one pass over the file that puts each day's into files of its own."""
        known = self._known()
        _check_sales_columns(self.connection, self.source)
        source_first = self.source.first_day
        late = "$last_day" if self.options.after_last_day == "reject" else "NULL"
        target = literal(str(folder / "days"))
        statement = f"""
            COPY (
                SELECT * EXCLUDE (__date),
                       CASE WHEN NOT coalesce(__date BETWEEN $earliest AND $latest, false) THEN $first_day
                            WHEN __date > $last_day THEN {late} ELSE __date END AS __ds
                FROM (SELECT *, TRY_CAST(t_dat AS DATE) AS __date FROM {{rows}})
                WHERE __ds BETWEEN $first AND $last
            ) TO {target} (FORMAT parquet, PARTITION_BY (__ds), OVERWRITE)"""  # noqa: S608 — our own temporary folder
        days = {"first": first, "last": last, "first_day": source_first, "last_day": self.options.last_day or LATEST}
        scan(self.connection, self.source.files["transactions_train"], statement, "sales_malformed", BOUNDS | days)
        return partial(self._interactions_on, known, folder / "days", source_first)

    def _interactions_on(self, known: dict[str, str], staged: Path, first_day: date, day: date) -> Landed:
        """One day's transactions; rows without a readable date come on the source's first day."""
        name = self.source.files["transactions_train"].name
        files = sorted((staged / f"__ds={day}").glob("*.parquet"))
        malformed = "sales_malformed" if day == first_day else "no_malformed"
        self.connection.execute("CREATE OR REPLACE TEMP TABLE no_malformed AS FROM sales_malformed WHERE false")
        if not files and not (day == first_day and count(self.connection, malformed)):
            return Landed(empty(SALES_OF_A_DAY), notes=(f"no row of {name} is dated {day}: a day without sales",))
        types = self._gather(files)
        renumber(self.connection, "sales_raw", "sales_malformed")
        raw = Raw("sales_raw", types, name, malformed)
        checked = check(self.connection, raw, SALES_OF_A_DAY, self.root, known, day)
        return land(self.connection, checked)

    def _gather(self, files: list[Path]) -> dict[str, str]:
        """The staged rows of one day as the table ``sales_raw``, and its columns and types.

        Raises:
            SourceError: there are so many rows after last_day that it cannot be what the files hold.
        """
        file = self.source.files["transactions_train"]
        types = file_types(self.connection, file)
        if not files:
            columns = ", ".join(f"{sql_identifier(name)} {kind}" for name, kind in {**types, ROW: "BIGINT"}.items())
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE sales_raw ({columns})")
            return types
        staged = {"files": [file_pattern(staged) for staged in files]}
        rows = "read_parquet($files, hive_partitioning = false)"
        if self.options.last_day is not None:
            after = f"SELECT count(*) FROM {rows} WHERE TRY_CAST(t_dat AS DATE) > $last_day"  # noqa: S608 — a constant
            [(late,)] = self.connection.execute(after, {**staged, "last_day": self.options.last_day}).fetchall()
            if late > TOO_MANY_LATE:
                problem = f"{late} rows are after last_day {self.options.last_day}"
                raise source_error(
                    file, problem, 'Correct last_day, or set after_last_day to "ignore".', column="t_dat"
                )
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE sales_raw AS FROM {rows} ORDER BY {ROW}", staged)
        return types

    def labels(self) -> Landed:
        """The labels of every valid article; rows that are rejected are counted by the table ``articles``."""
        checked = self._check_articles()
        table = self.label_table(hidden=False, checked=checked)
        kept_aside = self.label_table(hidden=True, checked=checked).num_rows if self.options.hide_labels else 0
        notes = (f"{kept_aside} labels are kept aside (hide_labels)",) if kept_aside else ()
        return Landed(table, rows_in=table.num_rows, notes=(*checked.notes, *notes))

    def label_table(self, hidden: bool, checked: Checked | None = None) -> pa.Table:
        """The labels that are hidden, or those that are not, by article and attribute."""
        attributes, checked = self.options.attributes, checked or self._check_articles()
        columns = ", ".join(f"{sql_identifier(f'attribute:{name}')} AS {sql_identifier(name)}" for name in attributes)
        names = ", ".join(sql_identifier(name) for name in attributes)
        if not attributes:
            return empty(LAYOUTS["annotated_attributes"])
        self.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE labels AS
            SELECT article_id, attribute, value
            FROM (SELECT article_id, {columns} FROM {checked.relation} WHERE reason IS NULL)
            UNPIVOT (value FOR attribute IN ({names}))""")  # noqa: S608 — the options' columns, checked and quoted
        hide = self.options.hide_labels or HideLabels(fraction=0.0)
        split = split_labels(self.connection, "labels", attributes, hide)
        return self.connection.sql(
            f"SELECT article_id, attribute, value FROM {split} WHERE hidden = $hidden ORDER BY article_id, attribute",  # noqa: S608
            params={"hidden": hidden},
        ).to_arrow_table()

    def images(self) -> Landed:
        """The photographs in the folder."""
        known = remember(self.connection, self._check_articles(), "article_id")
        return land_photographs(self.connection, self.source.image_root, known)

    def answers(self) -> Callable[[date], Landed]:
        """People's answers about outfits, by the newest file of each day or before."""
        known = {"articles": remember(self.connection, self._check_articles(), "article_id")}
        layout = LAYOUTS[FEEDBACK]

        @lru_cache(maxsize=1)  # days come in order, so that one file is valid until the next
        def landed(file: Path | None) -> Landed:
            if file is None:
                return Landed(empty(layout), notes=(f"no file of {FEEDBACK} yet",))
            raw = load(self.connection, file, self.root, f"{FEEDBACK}_raw")
            return land(self.connection, check(self.connection, raw, layout, self.root, known))

        return lambda day: landed(file_on(self.source.feedback, day))


def _always(landed: Landed) -> Callable[[date], Landed]:
    """A function that gives the same table on every day."""
    return lambda _: landed


def _check_sales_columns(connection: duckdb.DuckDBPyConnection, source: HmSource) -> dict[str, str]:
    """The columns and types of the transactions.

    Raises:
        SourceError: a column is missing, or has a type that cannot be right.
    """
    file = source.files["transactions_train"]
    types = file_types(connection, file)
    check_columns(Raw("", types, file.name, ""), SALES.fields, source.root)
    return types


def _absent(root: Path, stem: str) -> SourceError:
    """The error of a file that is not there, which names one that may have been meant."""
    wanted = f"{stem}.csv or {stem}.parquet"
    near = sorted(file.name for file in root.iterdir() if file.name.casefold().startswith(f"{stem}."))
    if not near:
        return source_error(
            root / f"{stem}.csv", "there is no such file", f"Put {wanted} there, as in the Kaggle data."
        )
    remedy = f"Name it {wanted}; what is compressed has to be unpacked before."
    return source_error(root / f"{stem}.csv", f"there is no such file, but there is {', '.join(near)}", remedy)


def _find(root: Path, stem: str) -> Path | None:
    """The Parquet file of that name, else the CSV file; a folder of that name is refused when it is read."""
    return next((file for suffix in (".parquet", ".csv") if (file := root / f"{stem}{suffix}").exists()), None)
