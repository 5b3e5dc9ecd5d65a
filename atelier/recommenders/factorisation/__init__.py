"""Factorisation: recommenders that give customers and articles vectors, and score by their inner product.

What belongs here: ``als``, ``hybrid``, their networks, training and explanations. What does not: what all models with
vectors share (:mod:`atelier.recommenders.vector_model`), examples to train on
(:mod:`atelier.recommenders.training_data`).
"""
