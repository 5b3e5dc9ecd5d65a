"""Neural networks: the parts that several models share.

What belongs here: layers, losses and the training loop, as plain PyTorch. What does not: a model
(:mod:`atelier.attributes.network`, :mod:`atelier.recommenders`), or anything that knows what an article is.
"""
