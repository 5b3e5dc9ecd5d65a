"""The errors that Atelier raises on purpose.

What belongs here: exception classes that more than one package raises or catches. Each message names what is
wrong (file, table, column, rows) and the remedy. What does not: errors of one module, which stand beside their code.
"""

from typing import Any


class AtelierError(Exception):
    """Base of every error that Atelier raises on purpose."""


class SourceError(AtelierError):
    """A source's files cannot be read as a whole: a missing file or column, an unreadable format."""


class PartitionMissing(AtelierError):
    """A snapshot or derived partition is read that was never written; the message names the command that makes it."""


class DamagedFile(AtelierError):
    """A file is gone, or no longer what was written; the message names it and the command that makes it again."""


class ContractViolation(AtelierError):
    """A staged partition breaks its table's contract, and was not published.

    Args:
        message: what is broken, with the first few examples.
        table: the table.
        audit: what was expected and found, where it came to an audit.
    """

    def __init__(self, message: str, table: str | None = None, audit: Any = None) -> None:
        super().__init__(message)
        self.table = table
        self.audit = audit


class BundleError(AtelierError):
    """A model bundle is missing, incomplete, or made by an incompatible version."""


class UnknownIdentifier(AtelierError, KeyError):
    """Customers or articles that a model or id map has never seen; the message names the first few."""

    def __str__(self) -> str:
        """The message as it is: KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class UndatedWarning(UserWarning):
    """A model's defaults were chosen on data with dates, and these have none: other settings suit them better."""


class NothingInCommonWarning(UserWarning):
    """Two inputs have no identifier or no kind in common: what is computed of them says nothing about either."""
