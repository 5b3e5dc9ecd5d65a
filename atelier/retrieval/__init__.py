"""Retrieval: approximate search among vectors.

What belongs here: indexes that are built once and asked often. What does not: exact top-K over all customers, which
needs no index (:mod:`atelier.recommenders.topk`).
"""
