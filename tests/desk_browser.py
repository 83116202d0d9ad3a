"""A browser before a running desk: what the tests of the pages start from."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from review.app import create_app
from review.desk import Desk
from review.keys import FieldKey
from review.security import Access
from review.serve import listen
from review.verified import read_verified

ROOT = Path(__file__).resolve().parent.parent
WAIT = 120_000  # milliseconds; the machine may be busy
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: sudo apt install -y chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


class Visit:
    """A person's browser at a desk: its pages, all that they ask for, all that goes wrong."""

    def __init__(self, browser: Browser, address: str, verifier: str | None = "ann", **options) -> None:
        """``options`` are those of a browser context."""
        self.address = address
        self.asked: list[str] = []
        self.faults: list[str] = []
        options = {"viewport": {"width": 1280, "height": 800}} | options
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(WAIT)
        self.context.on("request", lambda request: self.asked.append(request.url))
        if verifier is not None:
            name = f"localStorage.setItem('formscribe.verifier', JSON.stringify('{verifier}'))"
            self.context.add_init_script(name)

    def open(self, path: str = "/") -> Page:
        """A page of the desk; of ``/`` with a field on it."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._noted)
        page.goto(self.address + path)
        if path == "/":
            page.wait_for_selector("#stage img")
        return page

    def _noted(self, message) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def check(self) -> None:
        """Nothing was asked of another host, and no script failed or was refused."""
        hosts = {urlsplit(url).netloc for url in self.asked if not url.startswith(("data:", "blob:"))}
        assert hosts <= {urlsplit(self.address).netloc}
        assert self.faults == []

    def close(self) -> None:
        """Closes all pages, whatever they warn of."""
        self.context.close()


@contextlib.contextmanager
def visit(browser: Browser, address: str, verifier: str | None = "ann", **options) -> Iterator[Visit]:
    """A visit that is checked at its end."""
    visited = Visit(browser, address, verifier, **options)
    try:
        yield visited
        visited.check()
    finally:
        visited.close()


@contextlib.contextmanager
def desk_server(desk: Desk, access: Access | None = None) -> Iterator[str]:
    """A desk served by a thread; gives its address."""
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(create_app(desk, access or Access(), poll_seconds=0.2), log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=WAIT / 1000)
        desk.close()


@contextlib.contextmanager
def desk_process(output: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen, str]]:
    """`formscribe review` in a process of its own, and its address."""
    words = ["review", str(output), "--port", str(port), "--no-browser"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[^/\s]+", process.stdout.readline())
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.communicate(timeout=WAIT / 1000)


def shown_field(page: Page) -> str:
    """The id of the field on the screen, once its picture is there."""
    page.wait_for_function("() => document.querySelector('#stage[data-field] .paper img')?.complete")
    return str(page.get_attribute("#stage", "data-field"))


def press(page: Page, *keys: str) -> None:
    """Presses keys, one after the other."""
    for key in keys:
        page.keyboard.press(key)


def all_saved(page: Page) -> None:
    """Waits until the page says that everything is on the server's disk."""
    page.wait_for_selector("#saves[data-state=idle]")


def said(output: Path) -> dict[str, tuple[str, str | None, str]]:
    """What stands in the database, by field id: verdict, text, verifier; what was undone does not stand."""
    verified = read_verified(output)
    assert verified is not None
    standing = {}
    for row in verified.corrections.to_pylist():
        key = FieldKey(row["sha256"], row["page"], row["template"], row["field"])
        standing[key.id] = (row["verdict"], row["text"], row["verifier"])
    return {key: value for key, value in standing.items() if value[0] != "undone"}
