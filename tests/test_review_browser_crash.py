"""A desk that is killed while people work, in a real browser: nothing that was accepted is lost."""

import contextlib
import signal
from pathlib import Path

import pytest

from tests.desk_browser import all_saved, browser, desk_process, press, said, shown_field, visit
from tests.desk_folder import slips

pytestmark = pytest.mark.slow
Expected = dict[str, tuple[str, str | None, str]]


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


def answer(page, number: int, expected: Expected) -> None:
    """Types an answer, or accepts the reading, and waits for the next field, never for the server."""
    key = shown_field(page)
    assert key not in expected
    text = page.input_value("#answer")
    if number % 2:
        text = f"5{number}"
        page.keyboard.type(text)
    press(page, "Enter")
    expected[key] = ("text", text, "ann")
    page.wait_for_function(
        "before => document.getElementById('stage').dataset.field !== before", arg=key, timeout=60_000
    )


def at_hand(page, count: int) -> None:
    """Waits until so many pictures have come since the page was opened: those need no server any more."""
    come = """count => performance.getEntriesByType("resource").filter(({name, responseStatus}) =>
        name.includes("/pictures/fields/") && responseStatus === 200).length >= count"""
    page.wait_for_function(come, arg=count)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture
def output(tmp_path) -> Path:
    return slips(tmp_path, 120)  # many, so that the page keeps two dozen at hand


def test_a_server_that_is_killed_while_it_saves_loses_nothing(chromium, output):
    """Three times; meanwhile the page goes on with the fields at hand."""
    expected: Expected = {}
    number = 0
    with contextlib.ExitStack() as stack:
        process, address = stack.enter_context(desk_process(output))
        page = stack.enter_context(visit(chromium, address)).open()
        for _ in range(3):
            all_saved(page)
            at_hand(page, number + 12)
            for _ in range(6):
                answer(page, number := number + 1, expected)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
            for _ in range(5):
                answer(page, number := number + 1, expected)
            page.wait_for_selector("#saves[data-state=waiting]")
            process, _ = stack.enter_context(desk_process(output, port_of(address)))
        page.click("#saves")
        all_saved(page)
        page.wait_for_selector("#banner", state="hidden")
    assert said(output) == expected
    assert len(expected) == 33


def test_a_browser_that_is_closed_without_the_server_sends_when_it_comes_back(chromium, output):
    expected: Expected = {}
    with contextlib.ExitStack() as stack:
        process, address = stack.enter_context(desk_process(output))
        visited = stack.enter_context(visit(chromium, address))
        page = visited.open()
        answer(page, 1, expected)
        all_saved(page)
        at_hand(page, 6)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        for number in range(2, 6):
            answer(page, number, expected)
        page.close()
        stack.enter_context(desk_process(output, port_of(address)))
        again = visited.open()
        all_saved(again)
        assert shown_field(again) not in expected
        answer(again, 6, expected)
        all_saved(again)
    assert said(output) == expected
