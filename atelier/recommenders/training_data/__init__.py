"""Training data: the examples that recommenders learn from.

What belongs here: positives, negatives and the features of customers, drawn from interactions as arrays. What does not:
models and losses (:mod:`atelier.nn.ranking_losses`).
"""
