"""Articles: what is known of them, read and checked once.

What belongs here: articles as frames and tables, their text as words, their photographs as vectors, splits by style,
and the vector space that content models read. What does not: models that learn from articles
(:mod:`atelier.attributes`, :mod:`atelier.recommenders`), computing image vectors (:mod:`atelier.images`).
"""
