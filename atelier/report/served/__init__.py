"""The pages that ``atelier serve`` makes when they are asked for: a module for each page, from frames to sections.

What belongs here: what the pages show and how they lead to each other. What does not: asking the database
(:mod:`resources.published`), the server and what it lets in (:mod:`dagster_project.web`), the daily page
(:mod:`atelier.report.page`), whose pieces and style these pages use.
"""
