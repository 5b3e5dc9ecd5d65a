"""docker-compose.yml: what it promises about networks, secrets, rights and recovery. No container engine is needed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
COMPOSE = REPOSITORY / "docker-compose.yml"
OURS = ("code-location", "webserver", "pages", "daemon")


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


def test_the_database_has_no_rights_and_writes_to_its_volume_alone(services: dict[str, Any]) -> None:
    database = services["postgres"]
    assert database["user"] == "postgres"
    assert database["read_only"] is True
    assert database["cap_drop"] == ["ALL"]
    assert "/var/run/postgresql" in database["tmpfs"]


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


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
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


#: What a deployment of Dagster's chart may say (its schema, `UserDeployment`, and what its template reads beside).
CHART = {
    *("name", "image", "port", "dagsterApiGrpcArgs", "includeConfigInLaunchedRuns", "env", "envSecrets", "volumes"),
    *("volumeMounts", "initContainers", "podSecurityContext", "securityContext", "resources"),
}


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "deploy" / "kubernetes-values.yaml").read_text("utf-8"))
    return found


def test_on_kubernetes_the_code_location_is_that_of_compose(
    kubernetes: dict[str, Any], services: dict[str, Any]
) -> None:
    [deployment] = kubernetes["dagster-user-deployments"]["deployments"]
    assert set(deployment) <= CHART
    composed = services["code-location"]
    assert deployment["image"]["repository"] == composed["image"]
    assert deployment["port"] == int(composed["command"][-1].rpartition(" ")[2])
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text(encoding="utf-8"))
    [location] = workspace["load_from"]
    named = location["python_module"]["module_name"]
    assert deployment["dagsterApiGrpcArgs"] == ["--module-name", named]
    assert "atelier init --if-absent" in composed["command"][-1]
    assert "atelier init --if-absent" in deployment["initContainers"][0]["command"][-1]
    names = {each["name"] for each in deployment["env"]}
    assert {name for name in composed["environment"] if not name.startswith("POSTGRES")} <= names
    values = {each["name"]: each["value"] for each in deployment["env"]}
    assert values["TMPDIR"] == composed["environment"]["TMPDIR"]
    mounts = {mount["mountPath"] for mount in deployment["volumeMounts"]}
    assert composed["volumes"][0].split(":")[1] in mounts
    assert values["ATELIER_HOME"] in mounts


def test_on_kubernetes_pods_have_no_rights_and_no_password_stands_in_the_file(kubernetes: dict[str, Any]) -> None:
    [deployment] = kubernetes["dagster-user-deployments"]["deployments"]
    for each in (deployment, *deployment["initContainers"]):
        rights = each["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert f"--uid {rights['runAsUser']}" in (REPOSITORY / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert kubernetes["generatePostgresqlPasswordSecret"] is False
    assert "postgresqlPassword" not in kubernetes["postgresql"]
    assert kubernetes["dagsterWebserver"]["service"]["type"] == "ClusterIP"


def test_on_kubernetes_runs_queue_as_they_do_elsewhere(kubernetes: dict[str, Any]) -> None:
    dagster = yaml.safe_load((REPOSITORY / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))
    ours, theirs = kubernetes["concurrency"], dagster["concurrency"]
    assert ours["runs"]["maxConcurrentRuns"] == theirs["runs"]["max_concurrent_runs"]
    assert ours["runs"]["tagConcurrencyLimits"] == theirs["runs"]["tag_concurrency_limits"]
    assert ours["pools"] == {"defaultLimit": theirs["pools"]["default_limit"], "granularity": "op"}
    assert (
        kubernetes["postgresql"]["postgresqlScheme"] == dagster["storage"]["custom"]["config"]["postgres_db"]["scheme"]
    )
    assert kubernetes["runLauncher"]["type"] == "K8sRunLauncher"


def test_dagster_makes_a_pod_of_these_values(kubernetes: dict[str, Any]) -> None:
    """What the chart passes on to launched runs, through Dagster's own construction of a Kubernetes job."""
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job

    [deployment] = kubernetes["dagster-user-deployments"]["deployments"]
    passed = {
        "env": deployment["env"],
        "volumes": deployment["volumes"],
        "volume_mounts": deployment["volumeMounts"],
        "resources": deployment["resources"],
        "security_context": deployment["securityContext"],
        "image_pull_policy": kubernetes["runLauncher"]["config"]["k8sRunLauncher"]["imagePullPolicy"],
    }
    context = K8sContainerContext.create_from_config({"k8s": passed})
    config = DagsterK8sJobConfig(job_image="atelier:latest", dagster_home="/opt/dagster/dagster_home")
    arguments = ["dagster", "api", "execute_run"]
    job = construct_dagster_k8s_job(
        config, arguments, "a-run", user_defined_k8s_config=context.run_k8s_config
    ).to_dict()
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == arguments
    assert {mount["mount_path"] for mount in container["volume_mounts"]} >= {"/var/lib/atelier", "/tmp"}  # noqa: S108
    assert {each["name"] for each in container["env"]} >= {"ATELIER_HOME", "TMPDIR", "DAGSTER_HOME"}
    assert container["security_context"]["read_only_root_filesystem"] is True
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "20Gi"}
    assert "job_image" in K8sRunLauncher.config_type()
