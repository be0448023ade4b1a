"""The project's frame: what CI runs, what the lock pins, what the image does, what runs the replicas."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml  # type: ignore[import-untyped]  # it comes without types, and one call needs no stubs

from bridge.endpoints import HOOK_PATH
from bridge.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def pins() -> dict[str, str]:
    """Return name → version of the lock, names spelt alike."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line) for line in lines)
    return {spell(match[1]): match[2] for match in found if match}


def spell(name: str) -> str:
    """Return a distribution name in its one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_lock_pins_every_requirement(project: dict[str, Any], pins: dict[str, str]) -> None:
    """The lock holds every dependency, test and lint extras and the build backend included."""
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *extras["test"],
        *extras["lint"],
        *project["build-system"]["requires"],
    ]
    names = {spell(re.split(r"[\[><=;~! ]", requirement)[0]) for requirement in wanted}
    assert names <= pins.keys()


def test_lock_names_no_place() -> None:
    """The lock holds versions only: no registry, no host, no path, no option."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+( ; .*)?", line) for line in lines)
    assert "://" not in text


def test_every_target_of_the_frame_exists() -> None:
    """`make` lists all targets, and CI runs lint, test and the chaos runs."""
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    targets = set(re.findall(r"^  make ([a-z-]+) ", listed.stdout, re.MULTILINE))
    wanted = "help setup lint format test test-chaos explore bench demo demo-cutover sandbox serve lock docker clean"
    assert targets == set(wanted.split())
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "for target in lint test test-chaos;" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "target", ["lint", "test", "test-chaos", "explore", "bench", "demo", "demo-cutover", "sandbox", "serve"]
)
def test_targets_set_up_first(target: str) -> None:
    """Every target that runs something sets everything up before, so one command is enough on a fresh clone."""
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert planned.stdout.index("--requirement requirements.lock") < len(planned.stdout.rstrip().rsplit("\n", 1)[0])


def test_the_gate_draws_alike_everywhere() -> None:
    """A property test that passed here passes in CI; `make explore` is what draws anew."""
    gate, explore = map(hypothesis.settings.get_profile, ("gate", "explore"))
    assert (gate.derandomize, gate.database, gate.deadline) == (True, None, None)
    assert not explore.derandomize
    assert explore.max_examples > gate.max_examples
    assert hypothesis.settings.get_current_profile_name() in {"gate", "explore"}
    assert "--hypothesis-profile" not in (ROOT / "Makefile").read_text(encoding="utf-8").partition("explore: setup")[0]


def test_image_is_unprivileged_and_watched() -> None:
    """The last stage runs as a user of its own, is watched, keeps its journal in a volume, and starts the bridge."""
    steps = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8")).splitlines()
    last_stage = steps[max(index for index, step in enumerate(steps) if step.startswith("FROM ")) :]
    by_word = {step.split(" ", 1)[0]: step.split(" ", 1)[1] for step in last_stage if " " in step}
    assert by_word["USER"] == "bridge"
    assert "/health/live" in by_word["HEALTHCHECK"]
    assert by_word["VOLUME"] == "/app/var"
    assert by_word["EXPOSE"] == "8080"
    assert by_word["ENTRYPOINT"] == '["bridge"]'
    assert by_word["CMD"] == '["serve", "--config", "/app/config/docker.toml"]'
    assert last_stage.index("USER bridge") > max(i for i, step in enumerate(last_stage) if step.startswith("RUN"))


def test_image_gets_what_it_copies() -> None:
    """Whatever the Dockerfile copies from the project is let through by .dockerignore, and exists."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for name in line.split()}
    let_through = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    assert copied == let_through


def test_sandbox_is_kept_from_every_room(project: dict[str, Any]) -> None:
    """The import rule that keeps the sandbox alone names every module of the package, so that a new one is covered."""
    (rule,) = [c for c in project["tool"]["importlinter"]["contracts"] if c.get("source_modules") == ["bridge.sandbox"]]
    rooms = {f"bridge.{path.stem}" for path in (ROOT / "bridge").iterdir() if not path.name.startswith("__")}
    assert set(rule["forbidden_modules"]) == rooms - {"bridge.sandbox", "bridge.cli"}


# --- docker-compose.yml --------------------------------------------------------------------------------------------


REPLICAS = ("bridge-1", "bridge-2")
VARIABLE = re.compile(r"\$\{(\w+)(?::[?-]([^}]*))?}")


@pytest.fixture
def services() -> dict[str, Any]:
    """Return the services of docker-compose.yml."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    services: dict[str, Any] = compose["services"]
    volumes = {mount.split(":")[0] for one in services.values() for mount in one.get("volumes", ())}
    assert {name for name in volumes if not name.startswith(".")} == set(compose["volumes"])
    return services


@pytest.fixture
def replica_settings(services: dict[str, Any]) -> Settings:
    """Return the settings a replica starts with: its file, and its variables with each secret given."""
    environment = {
        name: VARIABLE.sub(lambda found: found[2] if found[2].startswith("http") else "secret", value)
        for name, value in services["bridge-1"]["environment"].items()
    }
    return load_settings(ROOT / "config/compose/bridge.toml", environment)


def balancer() -> str:
    """Return the configuration of the load balancer, without comments."""
    text = (ROOT / "config/compose/haproxy.cfg").read_text(encoding="utf-8")
    return re.sub(r"(?m)(^|\s+)#.*$", "", text)


def seconds(text: str) -> float:
    """Read `500ms` or `30s`."""
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def test_replicas_are_alike(services: dict[str, Any]) -> None:
    """Two replicas run, with one configuration, and go by one name inside."""
    first, second = (services[name] for name in REPLICAS)
    assert first == second
    assert first["networks"]["default"]["aliases"] == ["bridge"]
    assert first["command"] == ["serve", "--config", "/app/config/compose/bridge.toml"]
    assert first["build"] == "."


def test_everything_that_is_mounted_exists(services: dict[str, Any]) -> None:
    """Whatever docker-compose.yml mounts from the project is there; so is whatever depends on something."""
    mounts = [mount.split(":")[0] for one in services.values() for mount in one.get("volumes", ())]
    assert [path for path in mounts if path.startswith(".") and not (ROOT / path).exists()] == []
    needed = {name for one in services.values() for name in one.get("depends_on", ())}
    assert needed == {*REPLICAS, "postgres"}


def test_every_variable_is_in_the_example(services: dict[str, Any]) -> None:
    """The example of .env names every variable, those without a default at once; git and the image ignore .env."""
    needed = {name: tail for one in services.values() for name, tail in VARIABLE.findall(json.dumps(one))}
    lines = (ROOT / "config/compose/env.example").read_text(encoding="utf-8").splitlines()
    to_fill = {line.rstrip("=") for line in lines if re.fullmatch(r"\w+=", line)}
    optional = {line.partition("=")[0].removeprefix("# ") for line in lines if re.match(r"# [A-Z_]+=", line)}
    assert to_fill == {name for name, tail in needed.items() if not tail.startswith("http")}
    assert optional - {"COMPOSE_PROFILES"} == needed.keys() - to_fill
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "!.env" not in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_replicas_start_with_their_configuration(services: dict[str, Any], replica_settings: Settings) -> None:
    """The configuration is complete, names the database of the other service, and takes no secret from the file."""
    postgres = services["postgres"]["environment"]
    assert (
        replica_settings.storage.url == f"postgresql://{postgres['POSTGRES_USER']}@postgres/{postgres['POSTGRES_DB']}"
    )
    assert "PGPASSWORD" in services["bridge-1"]["environment"]
    assert replica_settings.mappings.folder == ROOT / "mappings"


def test_time_enough_is_given(services: dict[str, Any], replica_settings: Settings) -> None:
    """Nobody gives up on a replica before it is done: the load balancer waits longer than any caller is held."""
    (answer,) = re.findall(r"timeout server (\S+)", balancer())
    assert seconds(answer) > max(sender.hold_seconds for sender in replica_settings.senders) + 10
    assert seconds(services["bridge-1"]["stop_grace_period"]) > replica_settings.server.drain_seconds + 5


def test_the_balancer_finds_the_replicas(services: dict[str, Any], replica_settings: Settings) -> None:
    """It asks for their name and port, and routes by readiness, to any of them."""
    (server,) = re.findall(r"server-template \S+ \d+ (\S+)", balancer())
    assert server == f"bridge:{replica_settings.server.port}"
    assert "uri /health/ready" in balancer()
    assert not re.search(r"\b(cookie|stick|source)\b", balancer())
    (published,) = services["balancer"]["ports"]
    assert published.endswith(re.findall(r"bind (:\d+)", balancer())[0])
    assert any(
        re.findall(r"monitor-uri (\S+)", balancer())[0] in word for word in services["balancer"]["healthcheck"]["test"]
    )


def test_the_balancer_lets_through_what_is_public() -> None:
    """ERPs, the vendor's webhooks and readers of the description get through; figures of the process do not."""
    (public,) = re.findall(r"acl is_public path -i (.+)", balancer())
    paths = set(public.split())
    assert {"/webapi/api/batch", "/webapi/api/ping", HOOK_PATH, "/openapi.json"} <= paths
    assert not {"/metrics", "/health/live", "/health/ready"} & paths


def test_the_balancer_speaks_the_legacy_language() -> None:
    """What it answers by itself is a legacy reply, never HTML."""
    answers = re.findall(r"status (\d+) content-type application/json string '(.*?)'", balancer())
    assert {status for status, _ in answers} == {"400", "404", "408", "502", "503", "504"}
    for _, answer in answers:
        reply = json.loads(answer)
        (error,) = reply.pop("errors")
        assert reply == {"statuscode": 2, "responses": []}
        assert (error["objectname"], error["objectindex"]) == ("batch", 0)
        assert error.keys() == {"objectname", "objectindex", "message"}
