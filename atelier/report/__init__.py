"""The daily page and the terminal's tables.

What belongs here: one function for each section, the page around them, plain text. What does not: computing figures,
reading the store.
"""

from atelier.report.attributes import attributes_section
from atelier.report.checks import checks_section
from atelier.report.ingest import ingest_section
from atelier.report.page import render_page
from atelier.report.parts import Section

__all__ = ["Section", "render_page"]
