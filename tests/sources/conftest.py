"""Small folders of raw data, right unless a test spoils them."""

import csv
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atelier.sources import Landed, Source

HM_ARTICLE = (
    "article_id",
    "product_code",
    "prod_name",
    "product_type_name",
    "product_group_name",
    "graphical_appearance_name",
    "colour_group_name",
    "perceived_colour_value_name",
    "perceived_colour_master_name",
    "index_name",
    "index_group_name",
    "section_name",
    "garment_group_name",
    "detail_desc",
)
HM_SALE = ("t_dat", "customer_id", "article_id", "price", "sales_channel_id")
DAYS = [date(2020, 9, day) for day in (1, 2, 3)]


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


class HmFolder:
    """Writes the H&M files: articles 0000000001 and 0000000002, customers u and v, one sale."""

    days = DAYS
    article_columns = HM_ARTICLE

    def __init__(self, root: Path) -> None:
        self.root = root
        self.articles([self.article("0000000001"), self.article("0000000002")])
        self.customers([("u", "21.0", ""), ("v", "", "ACTIVE")])
        self.sales([("2020-09-01", "u", "0000000001", "0.5", "1")])

    @staticmethod
    def article(article_id: str, **values: str) -> dict[str, str]:
        """A row of articles.csv in which every column says its own name."""
        return {name: name for name in HM_ARTICLE} | {"article_id": article_id} | values

    def articles(self, rows: list[dict[str, str]]) -> None:
        write_csv(self.root / "articles.csv", HM_ARTICLE, [[row[name] for name in HM_ARTICLE] for row in rows])

    def customers(self, rows: list[tuple[str, ...]], header: Sequence[str] = ("customer_id", "age", "status")) -> None:
        write_csv(self.root / "customers.csv", header, rows)

    def sales(self, rows: Iterable[Sequence[Any]], header: Sequence[str] = HM_SALE) -> None:
        write_csv(self.root / "transactions_train.csv", header, rows)

    def photograph(self, path: str) -> Path:
        file = self.root / "images" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not looked at")
        return file


class Zone:
    """Writes a landing zone: articles a and b, customers u and v, one interaction."""

    days = DAYS

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("articles", DAYS[0], [{"article_id": name, "in_stock": True} for name in ("a", "b")])
        self.put("customers", DAYS[0], [{"customer_id": name} for name in ("u", "v")])
        self.put("interactions", DAYS[0], [self.event()])

    @staticmethod
    def event(**values: Any) -> dict[str, Any]:
        """An interaction of the first day."""
        right = {"customer_id": "u", "article_id": "a", "occurred_at": datetime(2020, 9, 1, 12), "kind": "view"}
        return right | values

    def put(self, table: str, day: date, rows: list[dict[str, Any]] | pa.Table) -> Path:
        (self.root / table).mkdir(exist_ok=True)
        file = self.root / table / f"ds={day}.parquet"
        pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), file)
        return file

    def photograph(self, path: str) -> Path:
        file = self.root / "photographs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not looked at")
        return file


@pytest.fixture
def hm(tmp_path: Path) -> HmFolder:
    return HmFolder(tmp_path)


@pytest.fixture
def zone(tmp_path: Path) -> Zone:
    return Zone(tmp_path)


@pytest.fixture(scope="session")
def make_hm() -> Callable[[Path], HmFolder]:
    return HmFolder


@pytest.fixture(scope="session")
def make_zone() -> Callable[[Path], Zone]:
    return Zone


@pytest.fixture(scope="session")
def on() -> Callable[..., Landed]:
    """Land one table on one day."""

    def land(source: Source, table: str, day: date = DAYS[0]) -> Landed:
        [(landed_day, landed)] = list(source.land(table, [day]))
        assert landed_day == day
        return landed

    return land
