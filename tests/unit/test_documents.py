"""What the documents say is so: tables are complete, names exist, links lead somewhere, examples come true."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import typer.main
from aiohttp.test_utils import TestServer

from bridge import __version__
from bridge.app import open_bridge
from bridge.cli import app as commands
from bridge.errors import CallerError
from bridge.metrics import Metrics
from bridge.modes import Mode, Switch
from bridge.sandbox import SandboxOptions, running
from bridge.settings import describe_settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
README, OPERATIONS, ONBOARDING = "README.md", "docs/operations.md", "docs/onboarding.md"
LIBRARIES, DECISIONS = "docs/decisions/0002-libraries.md", "docs/decisions/README.md"
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if path.is_file()
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")


@cache
def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def fences(document: str, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(read(document)) if found == language]


def prose(document: str) -> str:
    return FENCE.sub("", read(document))


def code(document: str) -> list[str]:
    """Return every piece of code: inline ones, and each line of shell, with its continuations joined."""
    shell = "\n".join(fences(document, "bash")).replace("\\\n", " ")
    return CODE.findall(prose(document)) + [line.partition(" # ")[0] for line in shell.splitlines()]


def table(document: str, header: str) -> list[list[str]]:
    """Return the cells of the table whose header row begins like this."""
    lines = read(document).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


# --- tables --------------------------------------------------------------------------------------------------------


def test_the_settings_table_is_complete_and_true() -> None:
    """Every setting stands in the README with its type and default, in the order of the file, and nothing else does."""
    told = [(key.strip("`"), kind, default.strip("`")) for key, kind, default, _ in table(README, "Setting")]

    assert told == [(setting.key, setting.type, setting.default) for setting in describe_settings()]


def test_every_setting_says_what_it_means() -> None:
    """No cell of the settings table is empty."""
    assert [row[0] for row in table(README, "Setting") if not all(row)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_and_variables_exist(document: str) -> None:
    """A setting or variable that a document names can be set; what looks like one may also be a module."""
    known = {setting.key.replace("[].", ".") for setting in describe_settings()}
    known |= {key.rpartition(".")[0] for key in known}
    sections = "|".join(sorted({key.partition(".")[0] for key in known} - {"organization", "sender"}))
    spelt = rf"(?:{sections})\.\w+|(?:sender|organization)\[\]\.[\w.]+"
    named = {name.replace("[].", ".") for name in re.findall(rf"`({spelt})`", prose(document))}
    named = {name for name in named if not (ROOT / "bridge" / f"{name.replace('.', '/')}.py").exists()}
    for variable in re.findall(r"\bBRIDGE__([A-Z0-9_]+)", read(document)):
        named.add(re.sub(r"\.\d+", "", variable.replace("__", ".").lower()))

    assert sorted(named - known) == []


LEVELS = {"info": "info", "warning": "warning", "error": "error", "exception": "error"}


def written_events() -> dict[str, set[str]]:
    """Return the levels at which each log event is written somewhere in the code, also by way of a variable."""
    events: dict[str, set[str]] = {"library_message": {"warning", "error"}}
    for path in (ROOT / "bridge").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for level, name in events_of(function):
                    events.setdefault(name.lower(), set()).add(level)
    return events


def events_of(function: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield level and event of everything a function logs."""
    nodes = list(ast.walk(function))
    variables = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            said = node.args[0]
            said = variables.get(said.id, said) if isinstance(said, ast.Name) else said
            for part in ast.walk(said) if node.func.attr in LEVELS else ():
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "Event":
                    yield LEVELS[node.func.attr], part.attr


def test_the_events_table_is_complete_and_true() -> None:
    """Every log event that is ever written stands in the operations guide with its level, and no other one does."""
    told = {event.strip("`"): set(level.split(", ")) for event, level, *_ in table(OPERATIONS, "Event")}

    assert told == written_events()


def test_the_metrics_table_is_complete_and_true() -> None:
    """Every metric stands in the operations guide with its type and labels, and nothing else does."""
    told = {
        name.strip("`"): (kind, tuple(sorted(CODE.findall(labels))))
        for name, kind, labels, *_ in table(OPERATIONS, "Metric")
    }

    assert told == measured()


def measured() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return name, type and labels of every metric, as a scrape shows them after some traffic."""
    metrics = Metrics()
    metrics.request_answered("legacy.batch", 200)
    metrics.batch_taken("ERP-1", 1)
    metrics.webhook_received("CASE", "taken")
    metrics.went("batch", "ERP-1", "legacy")
    metrics.watch_recording(lambda: 1, lambda: 0)
    metrics.read_answered("ERP-1", "answered")
    metrics.reading_looked_up("cases", "hit")
    metrics.batch_finished("ERP-1", {}, 0.1)
    metrics.rows_in_doubt({"3fa85f64-5717-4562-b3fc-2c963f66afa6": 0})
    metrics.mode_set(Switch("3fa85f64-5717-4562-b3fc-2c963f66afa6", Mode.SHADOW))
    metrics.guardrail_tripped("3fa85f64-5717-4562-b3fc-2c963f66afa6")
    text = metrics.render().decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    declared = {"bridge_rows_total": ("sender", "verdict")}  # has no sample before a row is counted
    return {
        name: (kind, declared.get(name, labels(name, text))) for name, kind in kinds.items() if "_created" not in name
    }


def labels(metric: str, text: str) -> tuple[str, ...]:
    sample = re.search(rf"^{metric}(?:_sum)?(?:{{(.*)}})? ", text, re.MULTILINE)
    return tuple(sorted(re.findall(r"(\w+)=", sample[1] or ""))) if sample else ()


def test_every_status_of_a_refused_batch_is_explained() -> None:
    """A status that the errors of callers carry stands in the README's table, if anything raises it."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bridge").rglob("*.py"))
    raised = [kind for kind in CallerError.__subclasses__() if re.search(rf"raise {kind.__name__}\b", sources)]
    told = {status for row in table(README, "Status") for status in re.findall(r"\d+", row[0])}

    assert {str(kind.status) for kind in raised} | {"500", "503"} <= told


def texts_of_the_code() -> str:
    """Return every text the package holds, one a line; an f-string gives its pieces."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "bridge").rglob("*.py"))
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(value for value in constants if isinstance(value, str))


def test_the_messages_in_the_readme_are_those_of_the_code() -> None:
    """Each piece of a row's message, between what is filled in, can be found in the code."""
    known = texts_of_the_code()
    pieces = [
        piece.strip(" :;()")
        for row in table(README, "Message")
        for message in CODE.findall(row[0])
        for piece in re.split(r"…|^\w+: ", message)
    ]

    assert [piece for piece in pieces if len(piece) > 3 and piece not in known] == []


def test_every_dependency_has_its_line() -> None:
    """Whatever pyproject.toml asks for is accounted for in the decision on libraries, and nothing else is."""
    project = tomllib.loads(read("pyproject.toml"))
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    told = [row[0].partition(",")[0] for row in table(LIBRARIES, "Library")]
    told += re.findall(r"^\| ([\w-]+) \|", read(LIBRARIES).partition("## For tests")[2], re.MULTILINE)

    assert sorted(set(told) - {"Library"}) == sorted({re.match(r"[\w-]+", one)[0] for one in asked})  # type: ignore[index]  # a requirement begins with a name


def test_every_decision_is_in_the_index() -> None:
    """The index of decisions names each record by its number, and no other."""
    indexed = re.findall(r"^\| (\d+) \| \[.*?]\((.*?)\)", read(DECISIONS), re.MULTILINE)
    records = sorted(path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))

    assert indexed == [(str(int(name[:4])), name) for name in records]


def test_the_changelog_tells_of_this_version() -> None:
    """The newest entry is the version of the package, below what is not released yet."""
    entries = re.findall(r"^## \[(.*?)]", read("CHANGELOG.md"), re.MULTILINE)
    assert next(entry for entry in entries if entry != "Unreleased") == __version__


# --- names ---------------------------------------------------------------------------------------------------------


def command_tree() -> dict[str, set[str]]:
    """Return the options of every command, by its words: `batches list`."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
        children = getattr(command, "commands", {})
        if not children:
            yield name, {"--help", "-h"} | {option for one in command.params for option in one.opts}
        for word, child in children.items():
            yield from walk(child, f"{name} {word}".strip())

    return dict(walk(typer.main.get_command(commands), ""))


def test_the_commands_table_is_complete() -> None:
    """Every command stands in the README's table, and nothing else does."""
    told = {re.sub(r" [A-Z-].*", "", row[0].strip("`")).removeprefix("bridge ") for row in table(README, "Command")}

    assert told == set(command_tree())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_their_options_exist(document: str) -> None:
    """A `bridge` command that a document shows can be typed so."""
    tree = command_tree()
    groups = {name.partition(" ")[0] for name in tree if " " in name}
    tree |= {group: set() for group in groups}
    shown = [
        (name.strip(), set(re.findall(r"(?<= )--[\w-]+", rest)))
        for piece in code(document)
        for name, rest in re.findall(rf"(?:^|[ /])bridge ((?:(?:{'|'.join(groups)}) )?[a-z]+)([^|;]*)", piece)
    ]

    assert [(name, options) for name, options in shown if name not in tree or options - tree[name]] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    """A `make` target that a document shows is one."""
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {target for piece in code(document) for target in re.findall(r"(?:^|\s)make ([a-z-]+)", piece)}

    assert sorted(named - targets) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_exist(document: str) -> None:
    """A path into this repository that a document names in code leads to a file or folder."""
    top = "bridge|mappings|config|tests|docs"
    named = {path for piece in code(document) for path in re.findall(rf"(?:^|[ @])((?:{top})/[\w./-]*)", piece)}

    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def anchors(document: str) -> set[str]:
    """Return the anchors GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """A relative link leads to a file of this repository, and its anchor to a heading there."""
    broken = []
    for target in re.findall(r"]\(([^)\s]+)\)", prose(document)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        if not file.exists() or (anchor and anchor not in anchors(str(file.resolve().relative_to(ROOT)))):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_names_one_machine_or_a_package_host(document: str) -> None:
    """No document depends on where it was written, or on where packages come from."""
    assert re.findall(r"/(?:work|root|home|tmp|Users)/\S+|\bpypi\.\S+|\bindex-url\b", read(document)) == []


# --- examples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_json_and_toml_can_be_read(document: str) -> None:
    """Every block of JSON or TOML is valid."""
    for text in fences(document, "json"):
        json.loads(text)
    for text in fences(document, "toml"):
        tomllib.loads(text)


def test_the_configuration_of_the_onboarding_guide_is_one(tmp_path: Path) -> None:
    """What the guide says to fill in is enough for a start."""
    (example,) = [text for text in fences(ONBOARDING, "toml") if "[[sender]]" in text]
    path = tmp_path / "bridge.toml"
    path.write_text(example, encoding="utf-8")

    settings = load_settings(path, {"NORDLYS_SECRET": "n", "ERP1_PASSWORD": "e"})

    assert [sender.id for sender in settings.senders] == ["ERP-1"]


@pytest.fixture
async def local_bridge(tmp_path: Path) -> AsyncIterator[str]:
    """A bridge with config/local.toml and the sandbox beside it; its address."""
    async with running(SandboxOptions(port=0)) as sandbox:
        environment = {
            "BRIDGE__STORAGE__URL": f"sqlite:///{tmp_path}/bridge.db",
            "BRIDGE__MODERN__BASE_URL": sandbox.base_url,
            "BRIDGE__MODERN__TOKEN_URL": sandbox.token_url,
        }
        settings = load_settings(ROOT / "config/local.toml", environment)
        async with open_bridge(settings) as bridge, TestServer(bridge.app) as server:
            yield str(server.make_url("")).rstrip("/")


class Curl(NamedTuple):
    """What a curl command line would send."""

    method: str
    path: str
    headers: dict[str, str]
    data: bytes


def read_curl(line: str) -> Curl:
    """Read a curl command line; an option nobody thought of here fails."""
    words = iter(shlex.split(line)[1:])
    method, path, headers, data = "GET", "", {}, b""
    for word in words:
        match word:
            case "--location":
                pass
            case "--request":
                method = next(words)
            case "--header":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "--data":
                given = next(words)
                data = (ROOT / given.removeprefix("@")).read_bytes() if given.startswith("@") else given.encode()
            case _:
                assert word.startswith("http://127.0.0.1:8080/")
                path = word.removeprefix("http://127.0.0.1:8080")
    return Curl(method, path, headers, data)


async def post(address: str, curl: Curl) -> tuple[Any, dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(curl.method, address + curl.path, headers=curl.headers, data=curl.data) as response,
    ):
        return await response.json(), dict(response.headers)


async def test_the_call_of_the_readme_gets_the_answer_it_shows(local_bridge: str) -> None:
    """The call of the vendor's page, with its literal token, is answered as shown; and again, as a repetition."""
    (line,) = [text for text in fences(README, "bash") if text.startswith("curl")]
    curl = read_curl(line.replace("\\\n", " "))
    shown = json.loads(fences(README, "json")[2])

    first, _ = await post(local_bridge, curl)
    again, headers = await post(local_bridge, curl)

    assert first == again == shown
    assert headers["X-Bridge-Replay"] == "true"


async def test_the_example_of_the_readme_is_true(local_bridge: str) -> None:
    """What goes in comes out as shown."""
    request, shown = fences(README, "json")[:2]
    headers = {"Content-Type": "application/json"}

    answer, _ = await post(local_bridge, Curl("POST", "/webapi/api/Batch?senderid=ERP-1", headers, request.encode()))

    assert answer == json.loads(shown)
