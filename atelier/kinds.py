"""The kinds of interaction that Atelier knows by name.

What belongs here: their names, and what each stands for. What does not: reading them (:mod:`atelier.frames`), what a
return cancels (:mod:`atelier.returns`), how much a kind weighs (the models' configs). Nothing heavy is imported.
"""

VIEW, SAVE, BAG, PURCHASE, RETURN = "view", "save", "bag", "purchase", "return"

KINDS = (VIEW, SAVE, BAG, PURCHASE, RETURN)
"""An article was looked at, saved for later, put into the bag, paid for, or sent back. Other kinds are allowed too."""
