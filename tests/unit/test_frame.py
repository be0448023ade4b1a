"""The project's frame: what CI runs, what the lock pins, what the image does."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

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
    wanted = "help setup lint format test test-chaos bench demo sandbox serve lock docker clean"
    assert targets == set(wanted.split())
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "for target in lint test test-chaos;" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["lint", "test", "test-chaos", "bench", "demo", "sandbox", "serve"])
def test_targets_set_up_first(target: str) -> None:
    """Every target that runs something sets everything up before, so one command is enough on a fresh clone."""
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert planned.stdout.index("--requirement requirements.lock") < len(planned.stdout.rstrip().rsplit("\n", 1)[0])


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
