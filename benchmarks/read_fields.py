"""How long the decoder takes for the fields of a page: 28 of digits and two of 26 letters.

python benchmarks/read_fields.py
"""

import time

import numpy as np

from model.alphabets import CHARSETS, class_index
from model.constraints import read_rows
from model.decoding import Constraint, Lattice

LENGTHS = [10, 10, 10, 2, 3, 4, 5, 6, 3, 4, 5, 6, 2, 4, 5, 6, 2, 3, 5, 6, 2, 3, 4, 6, 2, 3, 4, 5]


def made_up_lattice(text: str, doubt: float, rng: np.random.Generator, cut: float = 1 / 3) -> Lattice:
    """A row of which a share ``cut`` of the characters is in two pieces; a third makes three candidates each.

    Without any, each piece is the one candidate, as in rows whose bodies are surely characters. ``doubt`` is
    the share of a cut's probability that is spread at random over all classes.
    """
    edges, owners = [], []
    for place in range(len(text)):
        parts = 2 if rng.random() < cut else 1
        for part in range(parts):
            edges.append((place + 0.8 * part / parts, place + 0.8 * (part + 1) / parts))
            owners.append(place)
    bounds = np.array([(0.6 * a, 0.2, 0.6 * b, 0.8) for a, b in edges], np.float32)
    spans = [
        (start, stop)
        for start in range(len(edges))
        for stop in range(start + 1, min(start + (3 if cut else 1), len(edges)) + 1)
    ]
    probs = []
    for start, stop in spans:
        whole = len(set(owners[start:stop])) == 1 and owners.count(owners[start]) == stop - start
        target = class_index(text[owners[start]]) if whole else 62
        probs.append(doubt * rng.dirichlet(np.full(63, 0.1)) + (1 - doubt) * np.eye(63)[target])
    starts, stops = np.array(spans, np.int16).T
    boxes = np.array([[bounds[a, 0], 0.2, bounds[b - 1, 2], 0.8] for a, b in spans], np.float32)
    logs = np.log(np.array(probs) + 1e-9).astype(np.float32)
    return Lattice(starts, stops, logs, boxes, bounds, np.full(len(edges), 0.05, np.float32))


def main() -> None:
    rng = np.random.default_rng(0)
    for doubt in (0.001, 0.02, 0.3, 0.7):
        rows = [("".join(rng.choice(list(CHARSETS["digits"]), n)), "digits") for n in LENGTHS]
        rows += [("".join(rng.permutation(list(CHARSETS[name]))), name) for name in ("lower", "upper")]
        fields = [
            (made_up_lattice(text, doubt, rng), Constraint(name, len(text), len(text)), text)
            for text, name in rows
        ]
        plain = [
            (made_up_lattice(text, doubt, rng, cut=0.0), Constraint(name, len(text), len(text)), text)
            for text, name in rows
        ]
        free = [(lattice, Constraint("text", 0, 600), text) for lattice, _, text in fields[-2:]]
        titles = ("page", "the same, nothing cut", "the letters, any length, 62 classes")
        for title, work in zip(titles, (fields, plain, free), strict=True):
            times = []
            for _ in range(30):
                begun = time.perf_counter()
                readings = read_rows([row[0] for row in work], [row[1] for row in work])
                times.append(time.perf_counter() - begun)
            right = sum(r.text == text for r, (_, _, text) in zip(readings, work, strict=True))
            count = sum(len(lattice.starts) for lattice, _, _ in work)
            print(
                f"doubt {doubt:4.2f}  {title}: {1000 * np.median(times):6.2f} ms (best "
                f"{1000 * min(times):.2f}) for {count} candidates in {len(work)} fields, {right} right"
            )


if __name__ == "__main__":
    main()
