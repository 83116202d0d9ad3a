"""What the documentation says of the desk, against the code."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from jobs.review import LEAST_TOKEN, PORT
from pipeline.results import CHARACTER_MARKS, CORRECTIONS
from review.problems import CODES
from review.queue import LEASE_SECONDS
from review.routes import router
from review.tables import metadata

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "review.md").read_text("utf-8")


def rows_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head and without backquotes."""
    lines = text.partition(f"{heading}\n")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 : stop]]
    return [[cell.replace("`", "") for cell in row] for row in rows]


def test_the_problems_are_as_documented():
    expected = [[code, text.replace("`", "")] for code, text in CODES.items()]
    assert rows_after(PAGE, "### Problems") == expected


def test_every_code_of_a_problem_is_known():
    used = set()
    for path in (DOCS.parent / "review").glob("*.py"):
        used |= set(re.findall(r'ProblemError\(\s*\d+,\s*"(\w+)"', path.read_text("utf-8")))
    assert used <= set(CODES)
    assert len(used) > 10


def test_the_addresses_are_as_documented():
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    expected = {f"{method} {route.path}" for route in routes for method in route.methods}
    assert {row[0] for row in rows_after(PAGE, "## REST")} == expected


@pytest.mark.parametrize(
    ("table", "schema"), [("corrections", CORRECTIONS), ("character_marks", CHARACTER_MARKS)]
)
def test_the_columns_of_what_people_said_are_as_documented(table, schema):
    rows = rows_after((DOCS / "output.md").read_text("utf-8"), f"### `{table}`")
    assert [row[:2] for row in rows] == [[field.name, str(field.type)] for field in schema]
    assert [column.name for column in metadata.tables[table].columns] == schema.names


def test_numbers_and_tables():
    assert LEASE_SECONDS == 300
    assert f"at least {LEAST_TOKEN} characters" in PAGE
    assert f":{PORT}/" in PAGE
    assert all(f"`{name}`" in PAGE for name in metadata.tables)
