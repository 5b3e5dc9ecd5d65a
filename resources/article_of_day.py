"""What the store has of one article on one day, as the attribute model reads it.

What belongs here: the article's row of ``sql/attribute_inputs.sql``, its text and its photographs. What does not: all
articles of a day at once, which the stages read with the same SQL (:mod:`resources.article_inputs`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resources.article_inputs import INPUTS
from resources.frames import rows_of
from sql import query

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore

INGESTED = ("articles", "images")
INGESTED_ONLY = """
SELECT *, (SELECT list(digest ORDER BY shot) FROM images WHERE images.article_id = articles.article_id) AS image_digests
FROM articles
"""


@dataclass(frozen=True)
class ArticleOfDay:
    """One article on one day.

    Attributes:
        row: its columns that a model reads; empty where the catalogue of that day has no such article.
        images: shot and path of each photograph that the day lists, by digest.
        encoders: the encoders of that day's photographs; none where the day was ingested only.
    """

    row: Mapping[str, Any]
    images: Mapping[str, tuple[int, str]]
    encoders: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether the catalogue of that day has the article."""
        return bool(self.row)

    @property
    def image_digests(self) -> tuple[str, ...]:
        """The photographs that a model of that day reads, in order of shots; before it is encoded, all listed ones."""
        return tuple(self.row.get("image_digests") or ())

    @cached_property
    def text(self) -> str | None:
        """The text that is read; None without the article."""
        if not self.known:
            return None
        import pyarrow as pa

        from atelier.articles.text import article_text

        columns = {name: pa.array([self.row.get(name)], pa.string()) for name in ("name", "description")}
        return str(article_text(pa.table(columns))[0].as_py())

    @property
    def text_digest(self) -> str | None:
        """SHA-256 of the text in UTF-8, as ``predicted_attributes`` records it; None without the article."""
        return None if self.text is None else hashlib.sha256(self.text.encode()).hexdigest()


def read_article(store: "FeatureStore", article: str, ds: date) -> ArticleOfDay:
    """What the store has of an article on a day.

    Raises:
        PartitionMissing: the day was not ingested.
    """
    encoded = store.pointer("image_embeddings", ds) is not None
    # A day that was ingested and not yet trained on has no list of encoded photographs: all count.
    select = query("attribute_inputs") if encoded else INGESTED_ONLY
    with store.connect(as_of=ds, tables=INPUTS if encoded else INGESTED) as con:
        asked = {"article": article}
        rows = rows_of(con.execute(f"SELECT * FROM ({select}) WHERE article_id = $article", asked))  # noqa: S608 - sql/
        images = con.execute(
            "SELECT digest, shot, path FROM images WHERE article_id = $article ORDER BY shot DESC", asked
        ).fetchall()
        distinct = "SELECT DISTINCT encoder_id FROM image_embeddings ORDER BY encoder_id"
        encoders = con.execute(distinct).fetchall() if encoded else []
    return ArticleOfDay(
        row=rows[0] if rows else {},
        images={digest: (shot, path) for digest, shot, path in images},  # of a picture that comes twice, the first shot
        encoders=tuple(encoder for (encoder,) in encoders),
    )
