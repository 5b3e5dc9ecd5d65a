"""Identifiers in texts that are no tables: logs, pages, events.

What belongs here: how an identifier may be spelled in a text, finding it there and putting a word in its place. What
does not: which texts there are (:mod:`resources.forgetting.files`, :mod:`resources.forgetting.databases`).

An identifier of fewer than :data:`DISTINCTIVE` characters, such as ``12``, is found in a text only where it stands in
quotation marks or tags, or after the word customer: anywhere else it may be any number.
"""

import html
import json
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import quote

DISTINCTIVE = 6
INSTEAD = "forgotten"
"""The word that stands in the place of an identifier."""


class Mentions:
    """Finds identifiers of customers in texts.

    Args:
        customers: the identifiers.
    """

    def __init__(self, customers: Iterable[str]) -> None:
        self.customers = tuple(sorted(set(customers)))

    @cached_property
    def spellings(self) -> list[str]:
        """How the identifiers are written in plain text, JSON, HTML and addresses; the longest first."""
        found = {
            spelled
            for each in self.customers
            for spelled in (
                each,
                json.dumps(each)[1:-1],
                json.dumps(each, ensure_ascii=False)[1:-1],
                repr(each)[1:-1],
                html.escape(each),
                html.escape(each).replace("&#x27;", "&#39;"),
                quote(each, safe=""),
            )
        }
        return sorted(found, key=lambda spelled: (-len(spelled), spelled))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        long = "|".join(re.escape(each) for each in self.spellings if len(each) >= DISTINCTIVE)
        short = "|".join(re.escape(each) for each in self.spellings if len(each) < DISTINCTIVE)
        parts = [rf"(?<![0-9A-Za-z])(?:{long})(?![0-9A-Za-z])"] if long else []
        if short:
            parts.append(rf"(?<=[\"'>])(?:{short})(?=[\"'<\\])|(?<=[Cc]ustomer )(?:{short})(?![0-9A-Za-z])")
        return re.compile("|".join(parts) or r"(?!)")

    def within(self, text: str) -> bool:
        """Whether a text names any of the customers."""
        return self._pattern.search(text) is not None

    def redacted(self, text: str) -> str:
        """The text with :data:`INSTEAD` in the place of each identifier; JSON stays JSON."""
        if not self.within(text):
            return text
        if text.lstrip()[:1] in ("{", "["):
            try:
                document = json.loads(text)
            except ValueError:
                pass  # it only looks like JSON, so that it is a text like any other
            else:
                ended = "\n" if text.endswith("\n") else ""
                return json.dumps(self._in_document(document), indent=_indent(text)) + ended
        return self._pattern.sub(INSTEAD, text)

    def _in_document(self, value: Any) -> Any:
        if isinstance(value, str):
            return INSTEAD if value in self.customers else self.redacted(value)
        if isinstance(value, list):
            return [self._in_document(each) for each in value]
        if isinstance(value, dict):
            return {self._in_document(key): self._in_document(each) for key, each in value.items()}
        return value


def _indent(text: str) -> int | None:
    """By how many spaces the first line within a JSON document is moved in; None where it is all in one line."""
    found = re.match(r"\s*[{\[]\r?\n( +)", text)
    return len(found.group(1)) if found else None
