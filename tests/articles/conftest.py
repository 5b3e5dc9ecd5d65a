"""The planted catalogue of the attributes' tests serves the articles' tests too."""

from tests.attributes.conftest import one_thread, planted

__all__ = ["one_thread", "planted"]
