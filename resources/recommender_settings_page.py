"""``docs/recommender_settings.md``: every recommender and every field of its config, written by the code itself.

What belongs here: the page. What does not: any fact on it; each stands in the declaration of its model.
"""

import json
import sys
from pathlib import Path
from typing import Any

from atelier.recommenders import MODELS
from atelier.recommenders.declaration import Declaration

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recommender_settings.md"
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "empty"}


def markdown() -> str:
    """The page."""
    overview = [
        "# The recommenders and their settings",
        "",
        "`make docs` writes this page from the declarations beside the models. Each field can be given to",
        "`recommenders.build(name, …)` and, under the step `<name>_model`, in Dagster's launchpad.",
        "",
        "| model | what it is | reads content | has vectors | serves anybody |",
        "|---|---|---|---|---|",
        *(_overview(model) for model in MODELS.values()),
    ]
    return "\n".join([*overview, *(line for model in MODELS.values() for line in _section(model))]) + "\n"


def _overview(model: Declaration) -> str:
    able = ("yes" if each else "no" for each in (model.reads_content, model.has_vectors, model.serves_anyone))
    return f"| [{model.name}](#{model.name}) | {model.summary} | {' | '.join(able)} |"


def _section(model: Declaration) -> list[str]:
    properties = model.config.model_json_schema()["properties"]
    rows = [
        f"| {name} | {_allowed(schema)} | `{json.dumps(schema.get('default'), ensure_ascii=False)}` |"
        f" {schema['description']} |"
        for name, schema in properties.items()
    ]
    return ["", f"## {model.name}", "", "| field | allowed | default | meaning |", "|---|---|---|---|", *rows]


def _allowed(schema: dict[str, Any]) -> str:
    """What a field may hold, in words."""
    if "anyOf" in schema:
        return " or ".join(_allowed(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        return f"list of: {_allowed(schema['items'])}"
    if schema["type"] == "object":
        return f"for each name: {_allowed(schema['additionalProperties'])}"
    bounds = [f"{sign} {schema[bound]:g}" for bound, sign in BOUNDS.items() if bound in schema]
    return " ".join([TYPES[schema["type"]], ", ".join(bounds)]).strip()


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}: {len(MODELS)} recommenders\n")
