"""The SQL of the feature tables: one file per table, a SELECT over views of the store with bound parameters.

What belongs here: ``<table>.sql`` and the one function that reads them. What does not: statements that write.
"""

from importlib.resources import files


def query(name: str) -> str:
    """The text of ``sql/<name>.sql``.

    Args:
        name: a feature table's name, for example ``"article_features"``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return (files(__name__) / f"{name}.sql").read_text(encoding="utf-8")
