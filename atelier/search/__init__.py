"""Search: the nearest among vectors, exact and approximate.

What belongs here: top-k by inner product or cosine, the ragged lists that it takes and gives, indexes that are built
once and asked often. What does not: recommenders, customers and articles as such (:mod:`atelier.recommenders`), which
call this.
"""
