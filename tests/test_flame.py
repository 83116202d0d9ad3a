"""Flame graphs of a page: which samples count, how wide bars are, and that no path of a machine is drawn."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

SCRIPT = Path(__file__).parent.parent / "docs" / "draw_flame.py"
ROOT = "main (run.py:3);PageReader.read (/home/someone/benchmarks/page.py:54)"
STACKS = f"""\
main (run.py:3);start (run.py:9) 500
{ROOT};segment_page (/home/someone/segmentation/segmenting.py:26);cut_fields (x/fields.py:106) 60
{ROOT};segment_page (/home/someone/segmentation/segmenting.py:26) 20
{ROOT};page_rows (pipeline/reading.py:135);f.<locals>.<lambda> (a.py:1);decode (model/decoding.py:4) 20
{ROOT};page_rows (pipeline/reading.py:135);_find_and_load (<frozen importlib._bootstrap>:1165) 900
"""


def draw(tmp_path, stacks):
    source, target = tmp_path / "stacks.txt", tmp_path / "flame.svg"
    source.write_text(stacks, "utf-8")
    command = [sys.executable, SCRIPT, source, "--title", "A <page>", "--out", target]
    done = subprocess.run(command, capture_output=True, text=True)
    return done, target


def test_bars_are_as_wide_as_their_share_of_samples_and_stand_on_their_callers(tmp_path):
    done, target = draw(tmp_path, STACKS)
    assert done.returncode == 0, done.stderr
    text = target.read_text("utf-8")
    assert "someone" not in text
    assert "lambda" not in text
    assert "importlib" not in text
    space = "{http://www.w3.org/2000/svg}"
    tree = ElementTree.fromstring(text)
    assert "A <page>; 100 samples" in [element.text for element in tree.iter(f"{space}text")]
    bars = {}
    for group in tree.iter(f"{space}g"):
        title, rectangle = group.find(f"{space}title"), group.find(f"{space}rect")
        bars[title.text.split(",")[0]] = {k: rectangle.get(k) for k in ("x", "y", "width", "fill")}
    widths = {name: round(float(bar["width"]) / 12) for name, bar in bars.items()}
    assert widths == {
        "PageReader.read": 100,
        "segment_page": 80,
        "cut_fields": 60,
        "page_rows": 20,
        "decode": 20,
    }
    levels = [float(bars[name]["y"]) for name in ("PageReader.read", "segment_page", "cut_fields")]
    assert levels == sorted(levels, reverse=True)
    assert bars["decode"]["fill"] == bars["page_rows"]["fill"] != bars["segment_page"]["fill"]


def test_stacks_without_a_page_are_refused(tmp_path):
    done, target = draw(tmp_path, STACKS.splitlines()[0] + "\n")
    assert done.returncode == 2
    assert "no sample" in done.stderr
    assert not target.exists()
