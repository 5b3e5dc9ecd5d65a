"""Recommenders that read the order of a history: ``transformer`` and ``sequencer``.

What belongs here: their configs, networks, training and reasons. What does not: histories as arrays and negatives
(:mod:`atelier.recommenders.training_data`), layers and losses (:mod:`atelier.nn`).
"""
