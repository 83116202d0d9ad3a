"""The learning curve of the benchmarks: its figures from runs that are made up."""

from pathlib import Path

import numpy as np

from benchmarks.learning_curve import COUNTS, STANDARD, draw, summary, table


def made_up_results():
    def run(count, seed, rate, rehearsed=1):
        rates = {"choice": rate, **dict.fromkeys(STANDARD, 0.01)}
        return {"count": count, "seed": seed, "rehearsed": ["x"] * rehearsed, "error_rates": rates}

    runs = [run(count, seed, 0.2 - count / 10_000 + seed / 100) for count in COUNTS for seed in (1, 2)]
    runs.append(run(COUNTS[-1], 1, 0.05, rehearsed=3))
    return {
        "choice": {"before": {"error_rates": {"choice": 0.3, **dict.fromkeys(STANDARD, 0.01)}}, "runs": runs}
    }


def test_the_draws_of_a_number_are_averaged_and_the_rehearsed_kept_apart():
    results = made_up_results()
    np.testing.assert_allclose(summary(results, "choice", "choice", 0, False), 30)
    np.testing.assert_allclose(summary(results, "choice", "choice", 1000, False), (11.5, 11, 12))
    np.testing.assert_allclose(summary(results, "choice", "choice", 1000, True), 5)
    assert np.isnan(summary(results, "choice", "choice", 50, True)).all()


def test_the_table_and_the_figure(tmp_path: Path):
    lines = table(made_up_results()).splitlines()
    assert len(lines) == 2 + 1 + len(STANDARD)
    assert lines[2].endswith("| 30.00 | 21.00 | 19.50 | 11.50 | 5.00 |")
    draw(made_up_results(), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
