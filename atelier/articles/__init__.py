"""Articles: what is known of them, read and checked once.

What belongs here: the table of what is known of each article, texts as words, photographs as vectors, splits by style,
and the vector space that content models read. What does not: columns of any frame (:mod:`atelier.frames`), models that
learn from articles (:mod:`atelier.attributes`, :mod:`atelier.recommenders`), computing image vectors
(:mod:`atelier.images`).
"""
