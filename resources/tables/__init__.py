"""The registry: every table of the feature store, once.

What belongs here: collecting the tables of each group's module. What does not: a table, which stands in the module of its
group; code that reads or writes data. From the registry come the cast on write, Dagster's schema and lineage metadata,
the Great Expectations suites and the data dictionary.
"""

from resources.schema import Table
from resources.tables import (
    attributes,
    business,
    evaluation,
    features,
    gates,
    monitoring,
    raw,
    recommendations,
    studies,
)

_MODULES = {
    "What the source delivers": raw,
    "Product attributes": attributes,
    "Features": features,
    "What is recommended": recommendations,
    "Gates and champions": gates,
    "What a business asks": business,
    "Evaluation": evaluation,
    "Monitoring": monitoring,
    "Studies": studies,
}
#: The tables of each group, in the order in which data flows.
GROUPS: dict[str, list[Table]] = {
    title: [table for table in vars(module).values() if isinstance(table, Table)] for title, module in _MODULES.items()
}
REGISTRY: dict[str, Table] = {table.name: table for tables in GROUPS.values() for table in tables}


def table(name: str) -> Table:
    """The registered table of that name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    try:
        return REGISTRY[name]
    except KeyError:
        raise KeyError(f"no table {name!r} in the registry; there are {', '.join(REGISTRY)}") from None
