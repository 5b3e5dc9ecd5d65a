"""The kinds of interaction that Atelier knows by name.

What belongs here: their names, and what each stands for. What does not: reading them (:mod:`atelier.frames`), what a
return cancels (:mod:`atelier.returns`), how much a kind weighs (the models' configs). Nothing heavy is imported.
"""

from collections.abc import Iterable
from difflib import get_close_matches

VIEW, SAVE, BAG, PURCHASE, RETURN = "view", "save", "bag", "purchase", "return"

KINDS = (VIEW, SAVE, BAG, PURCHASE, RETURN)
"""An article was looked at, saved for later, put into the bag, paid for, or sent back. Other kinds are allowed too."""


def unheard_of(asked: Iterable[str], there: Iterable[str]) -> str:
    """What to say of kinds that are asked for, that no row has and that Atelier does not know; empty if all is well.

    Without rows there is nothing to say. A kind of ``KINDS`` may be absent from data, of a quiet day for example;
    another kind that is absent is more likely to be misspelt.

    Args:
        asked: the kinds asked for.
        there: the kinds of the rows.
    """
    there = sorted(there)
    if not there:
        return ""
    odd = [kind for kind in asked if kind not in KINDS and kind not in there]
    if not odd:
        return ""
    near = {kind: get_close_matches(kind, [*there, *KINDS], 1) for kind in odd}
    meant = [f"{kind!r} (perhaps {near[kind][0]!r} is meant)" if near[kind] else repr(kind) for kind in odd]
    return f"no interaction is of the kind {', '.join(meant)}; their kinds are {', '.join(there)}"
