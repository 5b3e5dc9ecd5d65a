"""What Dagster loads: the definitions of the home that ``$ATELIER_HOME`` names.

What belongs here: one name, ``defs``. What does not: anything that a test would want otherwise
(:func:`dagster_project.build.build_defs`).
"""

from dagster_project.build import build_defs
from resources.retailer import Home

defs = build_defs(Home.served_by_dagster())
