"""What the documents say of tests, verbs, keys and one another is so."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nathb import config
from nathb.cli import parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROVEN = (ROOT / "docs" / "proven.md").read_text()
TESTS = "".join(file.read_text() for file in (ROOT / "tests" / "lab").glob("test_*.py"))
SPOKEN = "".join(
    file.read_text() for file in [*(ROOT / "nathb").rglob("*.py"), ROOT / "systemd/nathb.catalog"]
).lower()
"""All that nathb says to people, in its source."""
LONGEST = 270
"""Lines of the README: what a stranger reads at once."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PICTURE = "docs/nathb.svg"
FETCHING = {"href", "{http://www.w3.org/1999/xlink}href", "src"}
"""Attributes with which a picture would fetch something."""


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_every_test_that_proven_md_names_is_in_the_lab() -> None:
    named = re.findall(r"`(test_[a-z0-9_]{20,})`", PROVEN)
    assert len(named) > 50
    assert [name for name in named if f"def {name}(" not in TESTS] == []


def test_every_test_that_a_document_names_exists() -> None:
    there = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    for document in DOCUMENTS:
        named = re.findall(r"`(test_[a-z0-9_]{20,})`", document.read_text())
        assert [name for name in named if f"def {name}(" not in there] == [], document.name


def test_every_verb_is_in_the_readmes_table_of_commands() -> None:
    commands = README.partition("## Commands")[2].partition("\n## ")[0]
    verbs = re.findall(r"^    ([a-z][a-z-]+)(?: {2,}|$)", parser().format_help(), re.MULTILINE)
    assert len(verbs) > 10
    assert [verb for verb in verbs if f"`nathb {verb}" not in commands] == []


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "quoted"),
    [("Reading `nathb status`", r"`([^`]+)`"), ("Troubleshooting", r'"([^"]+)"')],
)
def test_the_words_that_the_readme_explains_are_words_that_nathb_says(
    title: str, quoted: str
) -> None:
    cells = re.findall(r"^\| (.+?) \|", section(title), re.MULTILINE)[2:]
    said = [one for cell in cells for one in re.findall(quoted, cell)]
    pieces = [one.strip() for text in said for one in re.split(r"…|nat-[ac]|[:(),]", text)]
    assert len(said) > 3
    assert [one for one in pieces if one.lower() not in SPOKEN] == []


def test_the_readme_is_read_at_once() -> None:
    assert len(README.splitlines()) <= LONGEST


def test_the_readmes_file_is_one_that_nathb_takes_without_a_warning() -> None:
    (written,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    group = config.parse(written, "tokyo.yaml")
    assert [node.name for node in group.nodes] == ["nat-a", "nat-c"]
    assert config.find_warnings(group) == ()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    links = re.findall(r"\]\((?!https://)([^)]+)\)", document.read_text())
    for link in links:
        name, _, heading = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), f"{document.name} links to {link}"
        assert not heading or heading in anchors(target), f"{document.name} links to {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_of_ours_that_a_document_names_is_there(document: Path) -> None:
    named = re.findall(
        r"[` ]((?:tests|nathb|etc|packaging|docs|systemd)/[\w./-]*\w)", document.read_text()
    )
    assert [one for one in named if not (ROOT / one).exists()] == []


def test_the_readmes_picture_parses_fetches_nothing_and_has_colours_for_light_and_dark() -> None:
    assert f"]({PICTURE})" in README
    picture = ElementTree.parse(ROOT / PICTURE).getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    for element in picture.iter():
        fetched = [element.get(name) for name in FETCHING & set(element.keys())]
        assert [one for one in fetched if one and not one.startswith("#")] == []
    text = (ROOT / PICTURE).read_text()
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "prefers-color-scheme: dark" in text
