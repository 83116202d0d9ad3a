"""Forms of our own for tests: one with combs, ticks and a paragraph, and random ones."""

from dataclasses import replace

import numpy as np

from segmentation.handwriting import Hand
from segmentation.templates import FormTemplate, parse_template

MEMBERSHIP = b"""
[form]
name = "membership"
title = "Membership"
dpi = 200
width = 1700
height = 1400

[[field]]
name = "surname"
box = [160, 240, 1008, 64]
layout = "comb"
cells = 18
charset = "upper"

[[field]]
name = "number"
box = [160, 420, 392, 64]
layout = "comb"
cells = 7
charset = "digits"

[[field]]
name = "year"
box = [700, 420, 260, 64]
charset = "digits"
length = 4

[[field]]
name = "new_member"
box = [160, 600, 44, 44]
layout = "mark"

[[field]]
name = "moved"
box = [700, 600, 44, 44]
layout = "mark"

[[field]]
name = "remarks"
box = [160, 760, 1300, 420]
layout = "paragraph"
length = [0, 300]
"""

CAREFUL = Hand(
    font="architects-daughter",
    height=62,
    width=1.0,
    slant=0,
    stroke=6,
    gap=0.25,
    unevenness=0.3,
    slope=0,
    touching=0,
    crossing=0,
)


def membership() -> FormTemplate:
    """A form of two combs, a line, two ticks and a paragraph, 1700x1400 pixels at 200 dpi."""
    return parse_template(MEMBERSHIP, "membership.toml")


def random_form(rng: np.random.Generator) -> FormTemplate:
    """A form of six to twelve rows, each of one to three fields of any layout, 200 or 300 dpi."""
    dpi = int(rng.choice([200, 300]))
    unit = dpi / 300
    width, height = round(2400 * unit), round(3100 * unit)
    lines = [f'[form]\nname = "random"\ndpi = {dpi}\nwidth = {width}\nheight = {height}\n']
    y, count = 330.0, 0
    for _ in range(int(rng.integers(6, 13))):
        high = float(rng.uniform(85, 115))
        x = float(rng.uniform(120, 260))
        for _ in range(int(rng.integers(1, 4))):
            layout = str(rng.choice(["line", "comb", "mark"]))
            extra = ""
            if layout == "comb":
                cells = int(rng.integers(4, 16))
                wide, extra = cells * high * float(rng.uniform(0.7, 1.0)), f"cells = {cells}\n"
            elif layout == "mark":
                wide = high = min(high, 75.0)
            else:
                wide = float(rng.uniform(300, 900))
            if x + wide > 2300:
                break
            box = [round(v * unit, 1) for v in (x, y, wide, high)]
            charset = "" if layout == "mark" else f'charset = "{rng.choice(["digits", "upper"])}"\n'
            name = f"field_{count:02d}"
            lines.append(f'[[field]]\nname = "{name}"\nbox = {box}\nlayout = "{layout}"\n{extra}{charset}')
            x += wide + float(rng.uniform(60, 220))
            count += 1
        y += high + float(rng.uniform(90, 180))
        if y > 2900:
            break
    return parse_template("\n".join(lines).encode(), "random.toml")


def renamed(template: FormTemplate, name: str) -> FormTemplate:
    """The same form by another name."""
    return replace(template, name=name)
