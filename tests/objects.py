"""Object storage for the tests: moto's S3 server on loopback, in this process, and stores that lie in it."""

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.storage import Storage, open_storage

BUCKET = "atelier-tests"


@pytest.fixture(scope="session")
def object_server() -> Iterator[str]:
    """The address of a server with an empty bucket; the environment names it, with credentials that are nobody's."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        from fsspec.core import url_to_fs

        url_to_fs(f"s3://{BUCKET}")[0].mkdir(BUCKET)
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def store_url(object_server: str) -> str:
    """The URL of a store that nobody has written to; its name has a blank and a quotation mark."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/it's a store"


@pytest.fixture(params=["folder", "objects"])
def any_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A new storage: first in the test's folder, then on object storage with locks and copies in the test's folder."""
    if request.param == "folder":
        return open_storage(tmp_path)
    return open_storage(request.getfixturevalue("store_url"), tmp_path)
