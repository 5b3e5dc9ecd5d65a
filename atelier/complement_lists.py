"""The table of what goes with an article, and the names of its two lists.

What belongs here: the names. What does not: how the lists are made (:mod:`atelier.outfits.complements`,
:mod:`atelier.recommenders.co_purchase`), the table's columns (:mod:`resources.tables`). Nothing heavy is imported.
"""

TABLE = "complementary_articles"
LOOK = "complete the look"
"""What an outfit would add, by the outfit model."""
BOUGHT = "people also bought"
"""What buyers of the article bought with it or later, which is counted."""
LISTS = (LOOK, BOUGHT)
