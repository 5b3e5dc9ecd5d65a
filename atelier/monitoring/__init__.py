"""Whether tonight's models may be shown, and what moved since yesterday.

What belongs here: gates and drift, as functions of frames. What does not: models, reading the store.
"""
