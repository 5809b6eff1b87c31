"""The files around the kit: they agree with it, and with each other.

What a service reads that no test can call, Codespaces and Binder, is held to what its
documentation says.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from lessons import FOLDER, LESSONS, read
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

# A Python without JupyterLab lacks what comes with it.
jsonschema = pytest.importorskip("jsonschema")
yaml = pytest.importorskip("yaml")
serverapp = pytest.importorskip("jupyter_server.serverapp")

ROOT = FOLDER.parent
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
CONTAINER = ROOT / ".devcontainer" / "devcontainer.json"
# The page is as wide as GitHub shows it: so many lines are on its first screen.
FIRST_SCREEN = 25
# What conda-forge calls otherwise than PyPI.
ALIASES = {"matplotlib-base": "matplotlib"}

# The properties of a dev container that is made from an image, as its reference has
# them (containers.dev/implementors/json_reference), with what they may hold.
TEXT, NUMBER, OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "object"}
FLAG, LIST = {"type": "boolean"}, {"type": "array"}
COMMAND = {"type": ["string", "array", "object"]}
PORT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "label": TEXT,
        "protocol": {"enum": ["http", "https"]},
        "requireLocalPort": FLAG,
        "elevateIfNeeded": FLAG,
        "onAutoForward": {
            "enum": ["notify", "openBrowser", "openPreview", "silent", "ignore"]
        },
    },
}
HOST = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"cpus": NUMBER, "memory": TEXT, "storage": TEXT, "gpu": True},
}
PROPERTIES = {
    **dict.fromkeys(["$schema", "name", "image", "containerUser", "remoteUser"], TEXT),
    **dict.fromkeys(["workspaceFolder", "workspaceMount"], TEXT),
    **dict.fromkeys(["waitFor", "userEnvProbe", "shutdownAction"], TEXT),
    **dict.fromkeys(["features", "secrets", "customizations"], OBJECT),
    **dict.fromkeys(["containerEnv", "remoteEnv"], OBJECT),
    **dict.fromkeys(["init", "privileged"], FLAG),
    **dict.fromkeys(["updateRemoteUserUID", "overrideCommand"], FLAG),
    **dict.fromkeys(["mounts", "runArgs", "capAdd", "securityOpt"], LIST),
    "overrideFeatureInstallOrder": LIST,
    **dict.fromkeys(["initializeCommand", "onCreateCommand"], COMMAND),
    **dict.fromkeys(["updateContentCommand", "postCreateCommand"], COMMAND),
    **dict.fromkeys(["postStartCommand", "postAttachCommand"], COMMAND),
    "forwardPorts": {"type": "array", "items": {"type": ["integer", "string"]}},
    "portsAttributes": {"type": "object", "additionalProperties": PORT},
    "otherPortsAttributes": PORT,
    "hostRequirements": HOST,
}
SCHEMA = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": PROPERTIES,
}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))["project"]


# The version.


def test_the_version_is_the_same_everywhere() -> None:
    version = project()["version"]
    cited = yaml.safe_load(text("CITATION.cff"))
    newest = re.search(r"(?m)^## (\S+) - (\S+)$", text("CHANGELOG.md"))
    assert newest
    assert cited["version"] == version == newest[1]
    assert str(cited["date-released"]) == newest[2]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_of_this_version(path: Path) -> None:
    first_two = ".".join(project()["version"].split(".")[:2])
    assert f"Version {first_two}, " in read(path).cells[0].source


def test_who_is_cited_is_who_made_it() -> None:
    cited, made = yaml.safe_load(text("CITATION.cff")), project()
    # What each such file must have.
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["authors"] == made["authors"]
    assert cited["keywords"] == made["keywords"]
    assert cited["license"] in made["license"].split(" AND ")
    assert made["authors"][0]["name"] in text("LICENSE")


# The environment that conda and Binder make.


def environment() -> dict[str, Any]:
    return yaml.safe_load(text("environment.yml"))


def named(requirements: list[str]) -> dict[str, SpecifierSet]:
    """Return the versions that are asked for, by the package's name on PyPI."""
    found = {}
    for each in map(Requirement, requirements):
        name = canonicalize_name(each.name)
        found[ALIASES.get(name, name)] = each.specifier
    assert len(found) == len(requirements)
    return found


def pins(name: str) -> dict[str, list[str]]:
    """Return the versions that requirements/ pins, of which markers choose one."""
    found: dict[str, list[str]] = {}
    for package, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", text(name)):
        found.setdefault(canonicalize_name(package), []).append(version)
    return found


def from_conda() -> dict[str, SpecifierSet]:
    return named([each for each in environment()["dependencies"] if each != PIP])


PIP = {"pip": ["-e ."]}


def test_conda_gets_what_the_kit_needs_and_pip_only_the_kit() -> None:
    made = project()
    needed = named(made["dependencies"] + made["optional-dependencies"]["cluster"])
    needed["python"] = SpecifierSet(made["requires-python"])
    needed["pip"] = SpecifierSet()
    assert PIP in environment()["dependencies"]
    assert from_conda() == needed
    assert environment()["name"] == made["name"]
    assert environment()["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("name", sorted(set(from_conda()) - {"python", "pip"}))
def test_each_of_its_packages_is_pinned_to_a_version_that_it_asks_for(
    name: str,
) -> None:
    pinned = pins("requirements/lab.txt")[name]
    assert all(from_conda()[name].contains(version) for version in pinned), pinned


# The container that Codespaces makes.


def container() -> dict[str, Any]:
    return json.loads(CONTAINER.read_text(encoding="utf-8"))


def test_the_container_has_known_properties_only() -> None:
    jsonschema.validate(container(), SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"postCreateCommnd": "make"},
        {"forwardPorts": 8888},
        {"portsAttributes": {"8888": {"onAutoForward": "open"}}},
        {"hostRequirements": {"cores": 2}},
        {"image": None},
    ],
    ids=str,
)
def test_a_wrong_property_is_noticed(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**container(), **wrong}, SCHEMA)


def test_its_image_is_pinned_and_has_a_python_for_the_kit() -> None:
    """The tag has the version of the image, that of its Python, and the system's."""
    tag = re.fullmatch(
        r"[\w./-]+:(\d+\.\d+\.\d+)-(\d\.\d+)-(\w+)", container()["image"]
    )
    assert tag, container()["image"]
    assert SpecifierSet(project()["requires-python"]).contains(tag[2])
    assert f"Programming Language :: Python :: {tag[2]}" in project()["classifiers"]


def test_the_port_that_is_forwarded_is_that_of_jupyterlab() -> None:
    assert container()["forwardPorts"] == [serverapp.DEFAULT_JUPYTER_SERVER_PORT]
    assert set(container()["portsAttributes"]) == {
        str(serverapp.DEFAULT_JUPYTER_SERVER_PORT)
    }


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("when", ["postCreateCommand", "postAttachCommand"])
def test_make_knows_what_its_commands_call(when: str) -> None:
    """Nothing is made: make only says what it would do."""
    command = re.split(r"[|&]+", container()[when])[-1]
    make, *words = shlex.split(command)
    assert make == "make"
    asked = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    # As it is in an editor's terminal.
    asked |= {"PYTHON": sys.executable, "BROWSER": "open", "DISPLAY": ":0"}
    said = subprocess.run(
        [make, "--dry-run", *words], cwd=ROOT, env=asked, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    if "lab" in words:
        assert "--no-browser" in said.stdout
        assert "--ServerApp.ip=127.0.0.1" in said.stdout
    else:
        assert "requirements/lab.txt" in said.stdout


# The pages.


def links(page: str) -> list[tuple[str, str]]:
    """Return what a page links to, and the pictures that it shows, marked by "!"."""
    without_code = re.sub(r"(?s)```.*?```|`[^`\n]*`", "", text(page))
    return re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", without_code)


def anchors(page: str) -> list[str]:
    """Return the names that GitHub gives to the headings of a page."""
    without_code = re.sub(r"(?s)```.*?```", "", text(page))
    headings = re.findall(r"(?m)^#+ (.+)$", without_code)
    return [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings]


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page: str) -> None:
    for picture, target in links(page):
        parts = urlparse(target)
        if parts.scheme:
            assert parts.scheme == "https" and parts.netloc and not picture, target
            continue
        path = unquote(parts.path) or page
        assert (ROOT / path).exists(), target
        if parts.fragment:
            assert parts.fragment in anchors(path), target


def test_the_first_screen_shows_the_picture_how_to_begin_and_the_contents() -> None:
    lines = text("README.md").splitlines()
    first = "\n".join(lines[:FIRST_SCREEN])
    assert "make lab" in first
    assert "![" in first
    contents = re.findall(r"\(#([\w-]+)\)", first)
    headings = [line for line in lines if line.startswith("## ")]
    assert contents == anchors("README.md")[1:] and len(contents) == len(headings)
