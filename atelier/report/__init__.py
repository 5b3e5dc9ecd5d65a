"""The daily page and the terminal's tables.

What belongs here: one function for each section, the page around them, plain text. What does not: computing figures,
reading the store.
"""

from atelier.report.attribute_study import attribute_study_section
from atelier.report.attributes import attributes_section
from atelier.report.catalogue_errors import catalogue_errors_section
from atelier.report.checks import checks_section
from atelier.report.diversity import diversity_section
from atelier.report.drawing import Drawing
from atelier.report.figures import standalone
from atelier.report.ingest import ingest_section
from atelier.report.leaderboard import leaderboard_section
from atelier.report.lineage import LineageExample, lineage_page, lineage_section
from atelier.report.missing import missing_section
from atelier.report.neighbours import neighbours_section
from atelier.report.neighbours_picture import neighbours_drawings
from atelier.report.page import render_page
from atelier.report.parts import Section
from atelier.report.recommendations import recommendations_section
from atelier.report.recommender_drawings import recommender_drawings
from atelier.report.recommender_study import recommender_study_section
from atelier.report.search import search_section
from atelier.report.study_drawings import study_drawings
from atelier.report.text import attribute_text, leaderboard_text

__all__ = [
    "Drawing",
    "LineageExample",
    "Section",
    "attribute_study_section",
    "attribute_text",
    "attributes_section",
    "catalogue_errors_section",
    "checks_section",
    "diversity_section",
    "ingest_section",
    "leaderboard_section",
    "leaderboard_text",
    "lineage_page",
    "lineage_section",
    "missing_section",
    "neighbours_drawings",
    "neighbours_section",
    "recommendations_section",
    "recommender_drawings",
    "recommender_study_section",
    "render_page",
    "search_section",
    "standalone",
    "study_drawings",
]
