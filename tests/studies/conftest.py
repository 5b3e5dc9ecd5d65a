"""The planted catalogue of the attributes' tests serves the studies' tests too."""

from tests.attributes.conftest import one_thread, planted, tiny

__all__ = ["one_thread", "planted", "tiny"]
