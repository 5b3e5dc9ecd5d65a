"""Outfits: which articles go together.

What belongs here: compatibility models, the scoring and the completion of outfits. What does not: similarity of
articles (:mod:`atelier.recommenders`), vectors (:mod:`atelier.article_vectors`). The room is not furnished yet.
"""
