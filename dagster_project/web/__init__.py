"""The server behind ``atelier serve``: read-only pages over ``atelier.duckdb``, for searches at full size.

What belongs here: requests and answers (an ASGI application in Starlette), what is let in, what is kept up to date
meanwhile. What does not: what pages show (:mod:`atelier.report.served`), reading the database
(:mod:`resources.published`), Dagster's own web server (:mod:`dagster_project.ui`).
"""
