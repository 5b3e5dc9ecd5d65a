"""The attribute network: its layers, its batches, its loss and both ways to train it.

What belongs here: PyTorch modules and tensors. What does not: frames and files (:mod:`atelier.attributes.model`), the
meaning of probabilities (:mod:`atelier.attributes.temperature`, :mod:`atelier.attributes.prediction_sets`).
"""
