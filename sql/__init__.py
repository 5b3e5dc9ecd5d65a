"""The SQL that stages and pages read with: one SELECT per file, over views of the store with bound parameters.

What belongs here: ``<name>.sql``, ``<table>.sql`` where it makes a table, and the one function that reads them; in
``views`` the further views of ``atelier.duckdb`` (:mod:`resources.publishing`), in ``pages`` what the pages of
``atelier serve`` ask of it and how its sorted file is made (:mod:`resources.histories`). What does not: other
statements that write.
"""

from importlib.resources import files


def query(name: str) -> str:
    """The text of ``sql/<name>.sql``.

    Args:
        name: the file's, for example ``"article_features"`` or ``"pages/customer"``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return (files(__name__) / f"{name}.sql").read_text(encoding="utf-8")
