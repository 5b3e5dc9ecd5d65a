"""Baselines: recommenders that count instead of learning.

What belongs here: models without parameters to fit, which every other model is measured against. What does not: models
with vectors (:mod:`atelier.recommenders.factorisation`).
"""
