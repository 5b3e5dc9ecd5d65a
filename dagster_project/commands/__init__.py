"""The commands of ``atelier`` that are more than a few lines, one module each.

What belongs here: options, and how a result is shown in a terminal. What does not: computing the result.
"""
