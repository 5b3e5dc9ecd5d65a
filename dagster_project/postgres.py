"""Dagster's storage in PostgreSQL, which says what to do where there is no PostgreSQL.

What belongs here: the storage that ``deploy/dagster.yaml`` names. What does not: the storage itself
(``dagster-postgres``, of the extra ``deploy``: nothing else imports this module).

Of a server that does not answer, ``dagster-postgres`` says "too many retries for DB connection", and no more.
"""

from typing import TYPE_CHECKING

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import DagsterPostgresException, pg_url_from_config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from atelier.errors import AtelierError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


class PostgresUnavailable(AtelierError):
    """PostgreSQL does not answer, or does not let us in; the message names the server, the reason and what to set."""


class PostgresStorage(DagsterPostgresStorage):
    """As Dagster's own, with the same settings."""

    @classmethod
    def from_config_value(  # type: ignore[override]  # as that of Dagster's own class
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: PostgresStorageConfig,  # type: ignore[override]  # likewise
    ) -> DagsterPostgresStorage:
        """The storage of these settings; its tables are made where there are none.

        Raises:
            PostgresUnavailable: no connection could be had, in several tries.
        """
        try:
            return super().from_config_value(inst_data, config_value)
        except DagsterPostgresException as error:
            raise PostgresUnavailable(_message(make_url(pg_url_from_config(config_value)), error)) from error


def _message(url: "URL", error: DagsterPostgresException) -> str:
    """What is said; the password is not."""
    cause = error.__cause__
    reason = str(cause.orig if isinstance(cause, DBAPIError) else cause or error).strip()
    return (
        f"Dagster's PostgreSQL at {url.host}:{url.port} (database {url.database}, user {url.username}) cannot be used: "
        f"{reason}\nStart it (`docker compose up postgres`). Where it is another server, set hostname and port in "
        "$DAGSTER_HOME/dagster.yaml; user, password and database are POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB "
        "of the environment."
    )
