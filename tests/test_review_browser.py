"""The desk in a real browser: fifty fields by keyboard, two people, what keys do, what is told."""

import re
from pathlib import Path

import pytest

from jobs.query import execute, open_results
from review.keys import parse_field_id
from review.security import Access
from review.verified import read_verified
from tests.desk_browser import all_saved, browser, desk_server, press, said, shown_field, visit
from tests.desk_folder import field, open_desk, write_run

pytestmark = pytest.mark.slow
PEOPLE = ("ann", "bob")
ASK = """async ([method, path, body]) => (await fetch(path, {method, body: JSON.stringify(body),
    headers: {"X-Formscribe": "1", "Content-Type": "application/json"}})).status"""


def two_kinds(folder: Path, count: int) -> Path:
    """Results of ``count`` scans, each with a doubtful number ``a`` and doubtful capitals ``b``."""
    pages = {
        str(folder / "scans" / f"s{i:03}.png"): [
            field("a", f"1{i:03}", 0.10 + 0.001 * i),
            field("b", "KLM", 0.50 + 0.001 * i, charset="upper"),
        ]
        for i in range(count)
    }
    write_run(folder / "out", "run1", pages)
    return folder / "out"


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture
def output(tmp_path) -> Path:
    return two_kinds(tmp_path, 30)


@pytest.fixture
def address(output):
    with desk_server(open_desk(output)) as served:
        yield served


def read_text(page) -> str:
    return page.input_value("#answer")


def goes_on(page, before: str) -> None:
    """Waits until another field is on the screen."""
    page.wait_for_function("before => document.querySelector('#stage').dataset.field !== before", arg=before)


def deal_with(page, number: int) -> tuple[str, str | None]:
    """Answers the field on the screen in one of the ways there are, by keyboard; gives verdict and text."""
    text = read_text(page)
    if number == 10:
        press(page, "F4")
        return "blank", None
    if number == 20:
        press(page, "F8")
        return "unreadable", None
    if number == 25:
        press(page, "Alt+1")
        return "text", text[::-1]
    if number == 40:  # capitals: no digit can stand there
        press(page, "1")
        return "text", text[::-1]
    if number == 45:
        page.keyboard.type("xyz")
        press(page, "Enter")
        return "text", "XYZ"
    if number % 7 == 3:
        page.keyboard.type(f"9{number}" if text.isdigit() else "Q")
        press(page, "Enter")
        return "text", f"9{number}" if text.isdigit() else "Q"
    press(page, "Enter")
    return "text", text


def test_fifty_fields_are_cleared_by_keyboard_alone(chromium, output, address):
    expected: dict[str, tuple[str, str | None, str]] = {}
    with visit(chromium, address) as visited:
        page = visited.open()
        for number in range(50):
            key = shown_field(page)
            assert key not in expected
            expected[key] = (*deal_with(page, number), "ann")
            goes_on(page, key)
            if number == 28:  # that was wrong: back to it, and something else
                press(page, "F9")
                assert shown_field(page) == key
                press(page, "Escape")
                page.keyboard.type("777")
                press(page, "Enter")
                goes_on(page, key)
                expected[key] = ("text", "777", "ann")
        all_saved(page)
        assert page.inner_text("#sitting") == "50"
        page.wait_for_function("() => document.getElementById('left').textContent === '10'")
    assert said(output) == expected
    sql = "SELECT sha256, page, template, field, verdict, verified_text FROM fields JOIN forms"
    _, rows = execute(open_results(output), sql + " USING (source, page, run) WHERE verdict IS NOT NULL")
    told = {tuple(row[:4]): tuple(row[4:]) for row in rows}
    shown = {"blank": "", "unreadable": None}
    assert told == {
        tuple(parse_field_id(key)): (verdict, shown.get(verdict, text))
        for key, (verdict, text, _) in expected.items()
    }


def test_two_people_never_get_the_same_field(chromium, output, address):
    seen: dict[str, list[str]] = {name: [] for name in PEOPLE}
    with visit(chromium, address, "ann") as one, visit(chromium, address, "bob") as other:
        pages = {"ann": one.open(), "bob": other.open()}
        for _ in range(24):
            for name, page in pages.items():
                seen[name].append(shown_field(page))
                press(page, "Enter")
                goes_on(page, seen[name][-1])
        for page in pages.values():
            all_saved(page)
            assert page.is_hidden("#banner")
    assert not set(seen["ann"]) & set(seen["bob"])
    standing = said(output)
    assert {key: verifier for key, (_, _, verifier) in standing.items()} == {
        key: name for name, keys in seen.items() for key in keys
    }


def test_whoever_leaves_gives_back_and_the_end_is_told(chromium, tmp_path):
    output = two_kinds(tmp_path, 3)
    with desk_server(open_desk(output)) as address, visit(chromium, address, "bob") as other:
        with visit(chromium, address, "ann") as visited:
            page = visited.open()
            key = shown_field(page)
            press(page, "Enter")
            goes_on(page, key)
            all_saved(page)
            waiting = other.context.new_page()
            waiting.goto(address + "/")
            waiting.wait_for_selector("#rest h2:text('Others are at it')")
            page.goto(address + "/upload")  # leaves the desk
        for _ in range(5):
            key = shown_field(waiting)
            press(waiting, "Enter")
            goes_on(waiting, key)
        waiting.wait_for_selector("#rest h2:text('Nothing is doubtful any more')")
        press(waiting, "F9")
        assert shown_field(waiting) == key
        all_saved(waiting)
    assert sorted(verifier for _, _, verifier in said(output).values()) == ["ann", *["bob"] * 4]


def test_undoing_goes_back_several_answers_also_after_a_reload(chromium, output, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        keys = []
        for _ in range(4):
            keys.append(shown_field(page))
            press(page, "Enter")
            goes_on(page, keys[-1])
        all_saved(page)
        press(page, "F9", "F9")
        assert shown_field(page) == keys[2]
        all_saved(page)
        assert set(said(output)) == set(keys[:2])
        page.reload()
        shown_field(page)
        press(page, "F9")
        page.wait_for_function("key => document.querySelector('#stage').dataset.field === key", arg=keys[1])
        all_saved(page)
    assert set(said(output)) == {keys[0]}


def test_what_is_typed_is_checked_and_escape_goes_back(chromium, output, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        key = shown_field(page)
        reading = read_text(page)
        page.keyboard.type("12o")
        page.wait_for_timeout(300)
        assert page.inner_text("#hint") == "Enter keeps what stands here. Esc goes back to the reading."
        press(page, "Enter")
        page.wait_for_timeout(300)  # late news of the selection must not wipe it out
        assert page.inner_text("#hint") == "Not a digit: o. Enter once more keeps it all the same."
        assert shown_field(page) == key
        press(page, "Escape")
        assert read_text(page) == reading
        press(page, "ArrowRight")  # the first doubtful character
        page.keyboard.type("5")
        assert read_text(page) == "5" + reading[1:]
        assert page.inner_text(".letter.typed") == "5"
        press(page, "ArrowRight")
        page.keyboard.type("6")
        press(page, "Enter")
        goes_on(page, key)
        all_saved(page)
    assert said(output) == {key: ("text", "56" + reading[2:], "ann")}


def test_arrows_walk_through_the_readings_and_an_empty_line_is_blank(chromium, output, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        first = shown_field(page)
        reading = read_text(page)
        press(page, "ArrowDown")
        assert read_text(page) == reading[::-1]
        assert page.get_attribute("#others button", "aria-pressed") == "true"
        press(page, "Enter")
        goes_on(page, first)
        second = shown_field(page)
        press(page, "Backspace", "Enter")
        goes_on(page, second)
        all_saved(page)
    assert said(output) == {first: ("text", reading[::-1], "ann"), second: ("blank", None, "ann")}


def test_a_key_held_down_answers_one_field(chromium, output, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        key = shown_field(page)
        for _ in range(5):
            page.keyboard.down("Enter")
        page.keyboard.up("Enter")
        goes_on(page, key)
        all_saved(page)
        assert page.inner_text("#sitting") == "1"
    assert set(said(output)) == {key}


def test_the_keypad_gives_verdicts_in_fields_of_digits(chromium, output, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        keys = []
        for pressed in ("NumpadDivide", "NumpadMultiply", "NumpadEnter"):
            keys.append(shown_field(page))
            press(page, pressed)
            goes_on(page, keys[-1])
        press(page, "NumpadSubtract")
        assert shown_field(page) == keys[2]
        press(page, "NumpadAdd")
        page.wait_for_selector("#page-view[open] .layer img")
        press(page, "Escape")
        all_saved(page)
    assert {key: entry[0] for key, entry in said(output).items()} == {keys[0]: "blank", keys[1]: "unreadable"}


def test_the_page_is_shown_with_the_field_and_enlarged(chromium, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        key = shown_field(page)
        press(page, "F2")
        page.wait_for_selector("#page-view[open] .layer .mark")
        before = page.locator(".layer .mark").bounding_box()
        press(page, "+", "+", "+")
        after = page.locator(".layer .mark").bounding_box()
        assert after["width"] > 2 * before["width"]
        sheet = page.locator("#viewport").bounding_box()
        middle = after["x"] + after["width"] / 2
        assert sheet["x"] < middle < sheet["x"] + sheet["width"]
        middle = after["y"] + after["height"] / 2
        assert sheet["y"] < middle < sheet["y"] + sheet["height"]
        press(page, "F2")
        assert page.is_hidden("#page-view")
        press(page, "F1")
        assert page.is_visible("#help")
        press(page, "Enter")  # closes; answers nothing
        assert page.is_hidden("#help")
        assert shown_field(page) == key
        assert page.evaluate("document.activeElement.id") == "answer"


def test_the_kind_of_field_can_be_chosen(chromium, address):
    with visit(chromium, address) as visited:
        page = visited.open()
        assert page.inner_text("#field-name") == "a"
        page.wait_for_function("() => document.querySelectorAll('#kind option').length === 3")
        press(page, "F6")
        page.select_option("#kind", "slip/b")
        page.wait_for_function("() => document.getElementById('field-name').textContent === 'b'")
        assert page.evaluate("document.activeElement.id") == "answer"
        with visit(chromium, address, "bob") as other:  # what ann had is free again
            assert other.open().inner_text("#field-name") == "a"


def test_the_name_is_asked_once(chromium, output, address):
    with visit(chromium, address, verifier=None) as visited:
        page = visited.context.new_page()
        page.goto(address + "/")
        page.wait_for_selector("#who[open]")
        page.keyboard.type("Zoë <b>")
        press(page, "Enter")
        key = shown_field(page)
        assert page.inner_text("#verifier") == "Zoë <b>"
        press(page, "Enter")
        goes_on(page, key)
        all_saved(page)
        page.reload()
        shown_field(page)
        assert page.is_hidden("#who")
    assert said(output)[key][2] == "Zoë <b>"


def test_a_second_tab_rests_until_it_is_asked_to_take_over(chromium, address):
    with visit(chromium, address) as visited:
        first = visited.open()
        key = shown_field(first)
        second = visited.context.new_page()
        second.goto(address + "/")
        second.wait_for_selector("#banner-button:text('Work here')")
        assert second.is_hidden("#work")
        second.click("#banner-button")
        shown_field(second)
        first.wait_for_selector("#banner-button:text('Work here')")
        press(first, "Enter")
        assert first.is_hidden("#work")
        assert shown_field(second) == key


def test_an_answer_that_is_not_taken_is_kept_and_told(chromium, output, address):
    with visit(chromium, address, "ann") as visited, visit(chromium, address, "bob") as other:
        page = visited.open()
        key = shown_field(page)
        theirs = other.open()
        shown_field(theirs)
        answer = {"verifier": "carl", "verdict": "text", "text": "1"}
        assert theirs.evaluate(ASK, ["PUT", f"/api/fields/{key}", answer]) == 409  # it is leased
        assert theirs.evaluate(ASK, ["POST", "/api/release", {"verifier": "ann", "ids": [key]}]) == 200
        assert theirs.evaluate(ASK, ["PUT", f"/api/fields/{key}", answer]) == 200
        page.keyboard.type("42")
        press(page, "Enter")
        page.wait_for_selector("#banner-text:text('An answer was not taken.')")
        page.click("#banner-button")
        told = page.inner_text("#refused-list")
        assert re.search(r"42 for a of .*s000\.png, page 1: carl has answered this field", told)
        page.click("#refused-list button:text('Let go')")
        page.wait_for_selector("#refused", state="hidden")
        assert page.is_hidden("#banner")
        press(page, "F9")
        page.wait_for_function("() => document.body.innerText.includes('Nothing to undo')")
    assert said(output)[key] == ("text", "1", "carl")


def test_what_a_full_browser_cannot_keep_is_kept_in_memory(chromium, address):
    ask = """async () => {
        const { save, load, keysOf, drop } = await import("/static/storage.js");
        const { setItem } = Storage.prototype;
        const kept = [];
        for (const room of [true, false, true]) {
            Storage.prototype.setItem = room ? setItem : () => { throw new Error("no room"); };
            kept.push([save("full.a", room), load("full.a"), keysOf("full.").length]);
            if (!room) kept.push([save("full.b", 1), load("full.b"), keysOf("full.").length]);
        }
        drop("full.b");
        return [...kept, keysOf("full.")];
    }"""
    with visit(chromium, address) as visited:
        page = visited.open()
        kept = page.evaluate(ask)
    assert kept == [[True, True, 1], [False, False, 1], [False, 1, 2], [True, True, 2], ["full.a"]]


def test_fields_that_went_to_somebody_else_are_dropped(chromium, output):
    with (
        desk_server(open_desk(output, lease_seconds=1.0)) as address,
        visit(chromium, address, "ann") as visited,
        visit(chromium, address, "bob") as other,
    ):
        page = visited.open()
        key = shown_field(page)
        page.wait_for_timeout(1500)  # longer than the lease, while ann is away
        theirs = other.open()
        assert shown_field(theirs) == key
        press(theirs, "Enter")
        goes_on(theirs, key)
        all_saved(theirs)
        press(page, "Enter")
        page.wait_for_selector("#banner-text:text('not taken')")
        page.wait_for_function(
            "() => !document.querySelector('#stage').dataset.field || document.querySelector("
            "'#saves').dataset.state === 'idle'"
        )
    assert said(output)[key][2] == "bob"


def test_a_visitor_without_the_token_is_asked_and_keeps_the_answers(chromium, output):
    token = "a-token-of-my-own-choice"
    with (
        desk_server(open_desk(output), Access(token)) as address,
        visit(chromium, address) as visited,
    ):
        page = visited.open(f"/?token={token}#")
        key = shown_field(page)
        visited.context.clear_cookies()
        press(page, "Enter")
        page.wait_for_selector("#banner-button:text('Enter it')")
        with visited.context.expect_page() as opened:
            page.click("#banner-button")
        login = opened.value
        login.fill("input[name=token]", token)
        login.press("input[name=token]", "Enter")
        login.wait_for_selector("#verifier")
        page.click("#saves")
        all_saved(page)
    assert set(said(output)) == {key}


def test_readings_with_markup_are_text(chromium, tmp_path):
    hostile = "<img src=x onerror=alert(1)>"
    source = str(tmp_path / "scans" / "<script>alert(2)</script>.png".replace("/", "_"))
    write_run(tmp_path / "out", "run1", {source: [field("a<b>", hostile, 0.2, charset="text")]})
    with desk_server(open_desk(tmp_path / "out")) as address, visit(chromium, address) as visited:
        page = visited.open()
        page.on("dialog", lambda dialog: visited.faults.append(dialog.message))
        assert page.inner_text("#field-name") == "a<b>"
        assert read_text(page) == hostile
        assert "<script>alert(2)<_script>.png" in page.inner_text("#field-place")
        assert page.locator("#work img").count() == 1  # the picture of the field
        press(page, "Enter")
        page.wait_for_selector("#rest")
        all_saved(page)
        assert page.inner_text("#last code") == hostile or page.is_hidden("#last")


def test_pages_fit_a_phone_and_controls_have_names(chromium, address):
    unnamed = """() => [...document.querySelectorAll("button, input, select, textarea")].filter((node) =>
        node.checkVisibility() && !(node.labels?.length || node.getAttribute("aria-label")
        || node.textContent.trim() || node.getAttribute("aria-labelledby"))).map((node) => node.outerHTML)"""
    for options in ({"viewport": {"width": 390, "height": 844}}, {}):
        with visit(chromium, address, **options) as visited:
            for path in ("/", "/grid", "/upload"):
                page = visited.open(path)
                page.wait_for_load_state("networkidle")
                assert page.evaluate(unnamed) == []
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, (path, options, wide)
                assert page.locator("h1").count() == 1
                page.close()


CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (part) => ((part / 255 + 0.055) / 1.055) ** 2.4; // near enough
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility()) continue;
    if (node.closest(":disabled, option, svg, .spoken, noscript")) continue;
    const [one, other] = [luminance(rgba(getComputedStyle(node).color)), luminance(behind(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push(`${text.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(chromium, address, scheme):
    """WCAG AA: a contrast of at least 4.5."""
    with visit(chromium, address, color_scheme=scheme) as visited:
        page = visited.open()
        press(page, "ArrowRight")
        assert page.evaluate(CONTRAST) == []
        press(page, "F1")
        assert page.evaluate(CONTRAST) == []
        grid = visited.open("/grid")
        grid.wait_for_selector(".tile.active")
        press(grid, " ")
        assert grid.evaluate(CONTRAST) == []
        upload = visited.open("/upload")
        assert upload.evaluate(CONTRAST) == []


def test_colours_can_be_chosen(chromium, address):
    with visit(chromium, address, color_scheme="light") as visited:
        page = visited.open()
        paper = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(paper)
        page.click("#theme")
        page.click("#theme")
        assert page.get_attribute("html", "data-theme") == "dark"
        assert page.evaluate(paper) != light
        page.reload()
        assert page.get_attribute("html", "data-theme") == "dark"


def test_characters_are_marked_by_keyboard_and_their_fields_come_back(chromium, output, address):
    with visit(chromium, address) as visited:
        desk_page = visited.open()
        wrong_field = shown_field(desk_page)
        press(desk_page, "Enter")
        goes_on(desk_page, wrong_field)
        all_saved(desk_page)
        desk_page.close()
        page = visited.open("/grid?label=1")
        page.wait_for_selector("#tile-2")
        assert int(re.search(r"of (\d+)", page.inner_text("#range"))[1]) >= 30
        press(page, " ", "ArrowRight", "7", "ArrowRight", " ", " ", "ArrowRight", "8", "Backspace")
        assert page.inner_text("#saves") == "2 marks not sent"
        page.reload()
        page.wait_for_selector("#tile-2")
        assert page.inner_text("#saves") == "2 marks not sent"
        page.once("dialog", lambda dialog: dialog.accept())
        press(page, "Enter")
        page.wait_for_selector("#saves[data-state=idle]")
        assert "went back to the desk" in page.inner_text("#tally")
        page.reload()
        page.wait_for_selector("#tile-1 .said")
        assert page.inner_text("#tile-0 .said") == "✗"
        assert page.inner_text("#tile-1 .said") == "7"
        assert page.locator(".tile .said").count() == 2
        press(page, "Shift+Enter")
        page.wait_for_function(
            "n => document.querySelectorAll('.tile.right').length === n - 2",
            arg=page.locator(".tile").count(),
        )
        page.wait_for_selector("#saves[data-state=idle]")
        assert shown_field(visited.open()) == wrong_field  # before all others
    marks = read_verified(output).character_marks.to_pylist()
    assert [(mark["verdict"], mark["label"]) for mark in marks[:2]] == [("wrong", None), ("label", "7")]
    assert {mark["verdict"] for mark in marks[2:]} == {"right"}


def test_a_mark_of_a_character_that_is_gone_is_dropped_and_told(chromium, output, address):
    keep = """() => {
        const key = `formscribe.marks.${document.documentElement.dataset.desk}`;
        const id = Object.keys(JSON.parse(localStorage.getItem(key)))[0];
        const gone = id.replace(/\\.\\d+$/, ".99");
        const marks = { [gone]: { verdict: "wrong", label: null }, [id]: { verdict: "wrong", label: null } };
        localStorage.setItem(key, JSON.stringify(marks));
    }"""
    with visit(chromium, address) as visited:
        page = visited.open("/grid?label=1")
        page.wait_for_selector("#tile-2")
        press(page, " ")
        page.evaluate(keep)
        page.once("dialog", lambda dialog: dialog.accept())
        page.reload()
        page.wait_for_selector("#tile-2")
        assert page.inner_text("#saves") == "2 marks not sent"
        press(page, "Enter")
        page.wait_for_selector("#saves[data-state=idle]")
        assert "1 mark dropped" in page.inner_text("#banner")
        assert "1 mark saved" in page.inner_text("#tally")
    assert len(read_verified(output).character_marks) == 1


def test_a_mark_of_a_reading_that_a_newer_run_changed_is_dropped_and_told(chromium, output, address):
    scan = str(output.parent / "scans" / "s000.png")
    with visit(chromium, address) as visited:
        page = visited.open("/grid?label=1")
        page.wait_for_selector("#tile-2")
        press(page, "2", "ArrowRight", "2")  # the worst is of the first scan
        write_run(output, "run2", {scan: [field("a", "Z000", 0.1)]})
        while not page.evaluate("async () => (await (await fetch('/api/characters?label=Z')).json()).total"):
            page.wait_for_timeout(50)
        press(page, "Enter")
        page.wait_for_selector("#saves[data-state=idle]")
        assert "read anew" in page.inner_text("#banner")
        assert "1 mark saved" in page.inner_text("#tally")
        page.click("#banner button")
        page.wait_for_selector("#banner", state="hidden")
    (mark,) = read_verified(output).character_marks.to_pylist()
    assert (mark["read_label"], mark["label"], mark["run"]) == ("1", "2", "run1")


def test_while_the_server_is_away_the_page_says_so(chromium, output):
    desk = open_desk(output)
    with desk_server(desk) as address, visit(chromium, address) as visited:
        page = visited.open()
        key = shown_field(page)
        page.context.set_offline(True)
        press(page, "Enter")
        page.wait_for_selector("#saves[data-state=waiting]")
        assert page.inner_text("#saves") == "1 not saved yet"
        assert "kept in this browser" in page.inner_text("#banner-text")
        asked = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        page.close(run_before_unload=True)
        page.wait_for_timeout(1000)
        assert asked == ["beforeunload"]
        page.context.set_offline(False)
        all_saved(page)
        assert page.is_hidden("#banner")
    assert set(said(output)) == {key}
