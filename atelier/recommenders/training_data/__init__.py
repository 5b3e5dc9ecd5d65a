"""Training data: the examples on which recommenders are trained.

What belongs here: positives, negatives and the features of customers, drawn from interactions as arrays. What does not:
models and losses (:mod:`atelier.nn.ranking_losses`).
"""
