"""Errors of what is handed over about articles.

What belongs here: what is wrong with the frames that callers hand over. What does not: errors of bundles on disk, which
are :class:`atelier.errors.BundleError`.
"""

from atelier.errors import AtelierError


class ArticlesError(AtelierError):
    """A frame of articles, labels or vectors cannot be used; the message names column, rows and remedy."""
