"""What goes together: outfits, models of compatibility, and what completes an outfit.

What belongs here: all that is learned from, and said about, articles worn together. What does not: what is bought
together by the same people (:mod:`atelier.recommenders`), what looks alike (:mod:`atelier.search`).
"""

from atelier.outfits.compatibility import OutfitModel

__all__ = ["OutfitModel"]
