"""docker-compose.yml: what it promises about networks, secrets, rights and recovery. No container engine is needed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
COMPOSE = REPOSITORY / "docker-compose.yml"
OURS = ("code-location", "webserver", "daemon")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_ports_are_published_on_loopback_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_password_has_no_default_and_stands_in_no_file(services: dict[str, Any]) -> None:
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    example = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    assert "POSTGRES_PASSWORD=\n" in example
    for ignored in (".gitignore", ".dockerignore"):
        assert ".env" in (REPOSITORY / ignored).read_text(encoding="utf-8").splitlines()


def test_every_service_restarts_is_looked_after_and_has_limits(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_and_write_to_volumes_alone(services: dict[str, Any], name: str) -> None:
    assert services[name]["read_only"] is True
    assert services[name]["cap_drop"] == ["ALL"]
    assert "USER atelier" in (REPOSITORY / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    volume = services[name]["volumes"][0].split(":")[1]
    assert services[name]["environment"]["TMPDIR"].startswith(volume)
    dagster = yaml.safe_load((REPOSITORY / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))
    for written in ("compute_logs", "local_artifact_storage"):
        assert dagster[written]["config"]["base_dir"].startswith(volume)


def test_the_file_for_cards_changes_the_code_location_alone() -> None:
    added = yaml.safe_load((REPOSITORY / "deploy" / "gpu.yml").read_text(encoding="utf-8"))["services"]
    assert list(added) == ["code-location"]
    [device] = added["code-location"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_object_storage_is_a_service_without_rights_that_other_containers_alone_can_reach() -> None:
    added = yaml.safe_load((REPOSITORY / "deploy" / "objects.yml").read_text(encoding="utf-8"))["services"]
    assert set(added) == {"objects-volume", "objects", *OURS}
    server, prepared = added["objects"], added["objects-volume"]
    assert server["user"] == "10001"
    assert server["restart"] == "unless-stopped"
    assert server["healthcheck"]["test"][0] == "CMD"
    for each in (server, prepared):
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert set(each["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert "ports" not in each
        assert each["image"].rpartition(":")[2].startswith("v"), "a version, and not whatever is the latest"
    assert prepared["cap_add"] == ["CHOWN"]
    assert prepared["network_mode"] == "none"
    for name in OURS:
        assert {"ATELIER_STORE", "AWS_ENDPOINT_URL"} <= added[name]["environment"].keys()
        for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert added[name]["environment"][secret].startswith(f"${{{secret}:?"), "it has no default"


@pytest.mark.parametrize(
    "files", [(), *(("-f", "docker-compose.yml", "-f", f"deploy/{name}.yml") for name in ("gpu", "objects"))]
)
def test_docker_compose_reads_the_files(files: tuple[str, ...]) -> None:
    command = ["docker-compose", *files, "config", "--quiet"]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "POSTGRES_PASSWORD": "secret"}
    environment |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    del environment["POSTGRES_PASSWORD"]
    refused = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD" in refused.stderr
