"""Each page: which questions it asks of the database, and which sections it makes of the answers.

What belongs here: one function for each address, from parameters to HTML. What does not: SQL (``sql/pages``), how
sections look (:mod:`atelier.report.served`), the server (:mod:`dagster_project.web.app`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from atelier.attributes.catalogue_search import SearchError
from atelier.images.decode import ImageRejected
from atelier.report.album import SIZE, small_picture
from atelier.report.index import INDEX
from atelier.report.neighbours import neighbours_section
from atelier.report.parts import Section, count_text, money_text
from atelier.report.served import article as of_article
from atelier.report.served import customer as of_customer
from atelier.report.served import days as of_days
from atelier.report.served import found
from atelier.report.served.frame import LinkedAlbum, address, served_page
from dagster_project.commands.find import match_text
from dagster_project.web.guard import day_of, number_of, one_of, text_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from dagster_project.web.upkeep import Upkeep
    from resources.published import PublishedDatabase, Reader

HITS, CUSTOMERS, ROWS, PLACES, SHOTS = 48, 100, 200, 10, 6
SIZES = {"small": SIZE, of_article.LARGE: (720, 960)}
METRICS = ("recall", "precision", "ndcg", "hit_rate", "coverage")
K = 10
START_SPAN = 35
"""How many days back the start page looks for the newest value of a figure."""
LISTED = ["ds", "model", "seen", "served", "rank", "article_id", "score", "fallback", "reasons"]
WAIT = "The words are being indexed; in a moment they can be searched. Identifiers can be searched already."


@dataclass(frozen=True)
class Pages:
    """The pages of one home.

    Attributes:
        database: is asked.
        upkeep: has the index of words.
        image_root: the only folder from which photographs are shown; None: there is none.
        title: what the start page is headed by.
        serving_model: whose lists customers are shown where no gates have decided it yet.
        reports: the folder of the pages that the daily job writes.
    """

    database: "PublishedDatabase"
    upkeep: "Upkeep"
    image_root: Path | None
    title: str
    serving_model: str
    reports: Path

    def start(self, request: "Request") -> Response:
        """The newest day's figures, and the leaderboard."""
        with self.database.reading() as reader:
            newest = reader.newest()
            serving, _ = self._shown(reader)
            since = newest - timedelta(days=START_SPAN) if newest else date.min
            happened = reader.histories("days_interactions", from_day=since, to_day=date.max)
            attributes = reader.frame("days_attributes", from_day=since, to_day=date.max, metric="weighted_f1")
            judged = {
                metric: reader.frame(
                    "days_recommenders",
                    from_day=since,
                    to_day=date.max,
                    metric=metric,
                    k=K,
                    segment="all",
                    seen="excluded",
                )
                for metric in ("recall", "coverage")
            }
            board = reader.frame("leaderboard", k=K)
        bought = happened[happened["kind"] == "purchase"]
        mean = attributes[attributes["attribute"] == "mean"]
        served = ((metric, rows[rows["model"] == serving]) for metric, rows in judged.items())
        figures = [
            *of_days.figures_of(happened, "kind", "units", "{}, rows", count_text),
            *of_days.figures_of(happened, "kind", "customers", "{}, customers", count_text),
            *of_days.figures_of(bought, "kind", "revenue", "{}, sum of prices", money_text),
            *(each for m, rows in served for each in of_days.figures_of(rows, "model", "value", f"{m}@{K} of {{}}")),
            *of_days.figures_of(mean, "attribute", "value", "weighted F1 of attributes, {}"),
        ]
        sections = [
            of_days.newest_section(figures, newest or date.min),
            of_days.leaderboard_section(board, METRICS, K),
            of_days.written_section([INDEX] if (self.reports / INDEX).is_file() else []),
        ]
        return _answer(self.title, newest, sections)

    def _shown(self, reader: "Reader") -> tuple[str, date | None]:
        """Whose lists customers are shown on the newest day with lists, and of which day where of an earlier one."""
        newest = reader.newest("recommendations")
        for row in reader.rows("shown_lists", ds=newest) if newest else ():
            return str(row["model"]), None if row["made_on"] == newest else row["made_on"]
        return self.serving_model, None

    def days(self, request: "Request") -> Response:
        """Every figure over days."""
        default = of_days.Choice()
        choice = of_days.Choice(
            metric=text_of(request, "metric", default.metric),
            k=number_of(request, "k", default.k, 1_000),
            segment=text_of(request, "segment", default.segment),
            seen=text_of(request, "seen", default.seen),
            attribute_metric=text_of(request, "attribute_metric", default.attribute_metric),
            figure=text_of(request, "figure", default.figure),
            span=number_of(request, "span", default.span, of_days.LONGEST_SPAN),
            until=day_of(request, "until"),
        )
        with self.database.reading() as reader:
            newest = reader.newest()
            last = choice.until or newest or date.min
            window = {"from_day": last - min(timedelta(days=choice.span), last - date.min), "to_day": last}
            there = reader.frame("days_choices")
            metrics = [row["metric"] for row in reader.rows("days_attribute_metrics")]
            names = [row["name"] for row in reader.rows("days_figure_names")]
            judged = reader.frame(
                "days_recommenders",
                **window,
                metric=choice.metric,
                k=choice.k,
                segment=choice.segment,
                seen=choice.seen,
            )
            business = reader.frame("days_business", **window)
            drift = reader.frame("days_drift", **window)
            data = reader.frame("days_figure", **window, figure=choice.figure)
            flagged = reader.frame("days_flagged", **window, figure=choice.figure)
            attributes = reader.frame("days_attributes", **window, metric=choice.attribute_metric)
            happened = reader.histories("days_interactions", **window)
        sections = [
            of_days.choice_section(there, metrics, names, choice),
            of_days.recommenders_section(judged, choice),
            of_days.attributes_section(attributes, choice),
            of_days.interactions_section(happened),
            of_days.business_section(business),
            of_days.drift_section(drift),
            of_days.data_section(data, flagged, choice),
        ]
        return _answer("All days", newest, sections)

    def customer(self, request: "Request") -> Response:
        """One customer."""
        customer = text_of(request, "id")
        with self.database.reading() as reader:
            newest = reader.newest()
            known = reader.rows("customer", customer=customer)
            history = reader.histories("customer_history", customer=customer, most=ROWS)
            totals = reader.histories("customer_totals", customer=customer)
            model, stays = self._shown(reader)
            found = reader.rows("customer_lists", customer=customer, places=PLACES, model=model, made_on=stays)
            lists = pd.DataFrame(found, columns=LISTED)
            chosen = (str(each["value"]) for row in lists["reasons"] for each in row if each["kind"] == "article")
            album = _album(reader, history["article_id"], lists["article_id"], chosen)
        if not known and history.empty and lists.empty:
            raise HTTPException(404, f"There is no customer {customer!r}.")
        sections = [
            of_customer.customer_section(known[0] if known else {}),
            of_customer.history_section(history, totals, album),
            of_customer.lists_section(lists, album),
        ]
        return _answer(f"Customer {customer}", newest, sections, customer)

    def article(self, request: "Request") -> Response:
        """One article."""
        article = text_of(request, "id")
        asked = {"article": article}
        with self.database.reading() as reader:
            newest = reader.newest()
            known = reader.rows("article", **asked)
            if not known:
                raise HTTPException(404, f"There is no article {article!r}.")
            shots = [int(row["shot"]) for row in reader.rows("article_shots", **asked, most=SHOTS)]
            attributes = reader.frame("article_attributes", **asked)
            weeks = reader.histories("article_sales", **asked)
            similar, complements, replacements = (
                reader.frame(f"article_{name}", **asked, places=PLACES)
                for name in ("similar", "complements", "replacements")
            )
            others = replacements["replacement_article_id"].dropna()
            album = _album(
                reader, [article], similar["similar_article_id"], complements["complement_article_id"], others
            )
        sections = [
            of_article.article_section(known[0], shots),
            of_article.attributes_section(attributes),
            of_article.sales_section(weeks),
            neighbours_section(similar, album, shown=[article], neighbours=PLACES),
            of_article.complements_section(complements, album),
            of_article.replacement_section(replacements, album),
        ]
        return _answer(album.named(article), newest, sections, article)

    def search(self, request: "Request") -> Response:
        """Customers and articles by identifier, articles by words; one that is named exactly is opened at once."""
        asked = text_of(request, "q", "").strip()
        if not asked:
            return RedirectResponse("/", 303)
        hits, of, wait = self._words(asked)
        with self.database.reading() as reader:
            newest = reader.newest()
            articles = reader.frame("find_articles", text=asked, most=HITS)
            customers = reader.frame("find_customers", text=asked, most=CUSTOMERS)
            album = _album(reader, articles["article_id"], (article for article, _ in hits))
        for page, ids in (("article", articles["article_id"]), ("customer", customers["customer_id"])):
            if asked in set(ids):
                return RedirectResponse(address(page, id=asked), 303)
        sections = [
            Section("Articles by words", "words", absent=wait) if wait else found.words_section(hits, album, of),
            found.articles_section(articles, album),
            found.customers_section(customers),
        ]
        order = sorted(sections, key=lambda section: bool(section.absent))  # what was found stands first
        return _answer(f"Search for {asked}", newest, order, asked)

    def photograph(self, request: "Request") -> Response:
        """The photograph of an article as a new, small JPEG; the address names the article and never a file."""
        article = text_of(request, "id")
        shot = number_of(request, "shot", 0, 1_000_000)
        size = SIZES[one_of(request, "size", "small", SIZES)]
        with self.database.reading() as reader:
            rows = reader.rows("photograph", article=article, shot=shot)
        if not rows or self.image_root is None:
            raise HTTPException(404, f"There is no photograph of {article!r}.")
        try:
            content = small_picture(rows[0]["path"], self.image_root, size)
        except ImageRejected as error:
            raise HTTPException(404, f"The photograph of {article!r} cannot be shown.") from error
        return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})

    def _words(self, asked: str) -> tuple[list[tuple[str, list[str]]], int, str]:
        """The hits by words with what matched, how many there are, and what is said where there is no index yet."""
        search = self.upkeep.search
        if search is None:
            return [], 0, WAIT
        try:
            hits = search.find(asked, k=None)
        except SearchError:  # no word to search by: identifiers are searched alone
            return [], 0, ""
        shown = hits.head(HITS)
        best = ({match.word: match for match in reversed(matches)} for matches in shown["matches"])
        matched = ([match_text(match) for match in reversed(by_word.values())] for by_word in best)
        return list(zip(shown["article_id"].astype(str), matched, strict=True)), len(hits), ""


Page = Callable[["Request"], Response]


def _answer(title: str, newest: date | None, sections: list[Section], asked: str = "") -> HTMLResponse:
    return HTMLResponse(served_page(title, newest or "nothing is stored yet", sections, asked))


def _album(reader: "Reader", *articles: Iterable[Any]) -> LinkedAlbum:
    """The names and photographs of all articles that a page shows."""
    wanted = sorted({str(article) for some in articles for article in some})
    return LinkedAlbum(reader.frame("articles_named", articles=wanted))
