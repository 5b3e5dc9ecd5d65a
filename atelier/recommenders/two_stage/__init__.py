"""Recommenders of two stages: candidates from several sources, then a ranking of them by learned weights.

What belongs here: candidate sources, the features of candidates, rankers, and the recommender made of them. What does
not: the recommenders that serve as sources (the other wings of :mod:`atelier.recommenders`).
"""
