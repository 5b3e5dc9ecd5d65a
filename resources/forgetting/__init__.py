"""Forgetting: a customer is taken out of everything that a home holds.

What belongs here: finding a customer in tables, bundles, pages, logs and Dagster's storage, and taking them out. What
does not: leaving them out of later ingests (:mod:`resources.suppression`), the command
(:mod:`dagster_project.commands.forget`).

Nothing is remembered of how far a process came: each part looks for what is left, so that after a kill the same command
ends the work, and after that finds nothing.
"""
