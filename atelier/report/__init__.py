"""The daily page and the terminal's tables.

What belongs here: a module for each section, the page around them, plain text. What does not: computing figures,
reading the store.
"""
