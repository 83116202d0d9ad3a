"""Reading a row whose text must obey a rule: a pattern, a list of values, a check digit.

The rule steers the search (``model.automaton_search``); it is no check afterwards. How sure the reading is
follows from how the row would have been read without the rule:

    p(text) = mass(text) / (A + U + w (1 - A - U))

A is the mass of all paths that obey the rule, U that of paths of an allowed length with an unreadable
character, which may obey it or not; all others break it. Masses are shares of all paths. w is
``DecodingOptions.wrong_length``: how many writers break the rules of a form. Where the ink agrees with the
rule, A is far above w and the rule lends its strength to the reading; where the ink contradicts it, A falls
below w, and so does the confidence.
"""

from collections.abc import Iterable, Sequence
from math import exp, inf

import numpy as np

from model.automata import AllOf, Automaton, LengthRange, Lexicon
from model.automaton_search import SteeredLattice, readable_log_mass
from model.decoding import Draft, RowReader, draft, finish
from model.lattice import DEFAULT_OPTIONS, Constraint, DecodingOptions, Lattice, Reading
from model.lattice_chain import LatticeChain
from model.path_scores import ScoredLattice, score_lattice, score_rows
from model.path_search import LengthCounter, Path, PathFinder
from model.plain_rows import plain_drafts
from model.words import draft_words

# A text that obeys the rule is plausible if it scores no worse than this, per character, below the best text
# without the rule: 3 % a character.
PLAUSIBLE_NATS = 3.5
# And not worse than this in all, however long: beyond it a path has nothing to do with the ink.
MOST_NATS = 30.0
# Most rules hold, and then a narrow search, a tenth of the work, sees all that matters: it is enough if it
# finds a path this near, so that no path which it does not see has a thousandth of that path's mass.
_NEAR = 14.0
_SURELY_NEAR = 4.0
_PATHS_PER_TEXT = 3
_READINGS = 5  # of a row of a page, the best one included


def read_rows(lattices: Sequence[Lattice], constraints: Sequence[Constraint]) -> list[Reading]:
    """Reads rows, each as its constraint asks: freely, under its automaton, or as words of its dictionary.

    Every row is read as it would be by itself; together they take less time.

    Args:
        lattices: the rows.
        constraints: of each row.

    Raises:
        ValueError: as ``decode``, for any of the rows.
        KeyError: a charset is unknown.
    """
    rows = score_rows(lattices, constraints, DEFAULT_OPTIONS)
    drafts: dict[int, Draft | Reading] = {**plain_drafts(rows, _READINGS)}
    texts: dict[tuple[Lexicon, str], list[int]] = {}
    for number, constraint in enumerate(constraints):
        if constraint.words is not None:
            texts.setdefault((constraint.words, constraint.charset), []).append(number)
        elif number not in drafts:
            drafts[number] = _draft(rows[number])
    for (words, _), numbers in texts.items():
        drafts.update(zip(numbers, draft_words([rows[number] for number in numbers], words), strict=True))
    return finish([drafts[number] for number in range(len(rows))], _READINGS)


def _draft(row: ScoredLattice) -> Draft | Reading:
    constraint, options = row.constraint, row.options
    if constraint.automaton is not None:
        return _draft_constrained(row, constraint, constraint.automaton, _READINGS, options)
    return draft(row, constraint, _READINGS, options)


def decode_constrained(
    lattice: Lattice,
    constraint: Constraint,
    automaton: Automaton,
    n_best: int = 5,
    options: DecodingOptions = DEFAULT_OPTIONS,
) -> Reading:
    """Reads one row of writing that an automaton must accept.

    Exact while no border between pieces has more than ``automaton_search.MAX_STATES`` states, which holds for
    patterns and check digits; a beam of the best ones beyond.

    Args:
        lattice: candidates and their log-probabilities.
        constraint: charset and length; ``permutation`` is not looked at.
        automaton: which texts are allowed.
        n_best: how many texts to return at most, not counting the best without the automaton.
        options: weights; see the module for ``wrong_length``.

    Returns:
        The best text that obeys. The best text of all, if another, is among the runners-up, and has a higher
        probability there than the reading itself where the ink contradicts the rule. If no plausible text
        obeys (see ``PLAUSIBLE_NATS``), the best text of all is the reading, with all its probabilities
        multiplied by ``wrong_length``, so that it is sure to be reviewed.

    Raises:
        ValueError: as ``decode``.
        KeyError: the charset is unknown.
    """
    return finish([_draft_constrained(lattice, constraint, automaton, n_best, options)], n_best)[0]


def _draft_constrained(
    lattice: Lattice, constraint: Constraint, automaton: Automaton, n_best: int, options: DecodingOptions
) -> Draft:
    """What ``decode_constrained`` finds before it reads the characters. Raises as it does."""
    if n_best < 1:
        raise ValueError(f"n_best is {n_best}; ask for at least one reading")
    scores, pieces = score_lattice(lattice, constraint, options), len(lattice.piece_ink)
    row = RowReader(lattice, constraint, scores, options, n_best)
    least, most = constraint.min_length, constraint.max_length
    chain = LatticeChain(scores, LengthCounter.of(least, most, pieces), options.temperature)
    free = next(PathFinder(scores, LengthCounter.of(0, pieces, pieces)).best_paths(1, inf))
    rule = _with_length(automaton, least, most, pieces)
    steered = SteeredLattice(scores, rule, min(_NEAR, _plausible(pieces)))
    if free.score - steered.best_score > _SURELY_NEAR:
        steered = SteeredLattice(scores, rule, _plausible(pieces))
    texts = [
        (path, chain.text_probability(path))
        for path in _texts(steered.best_paths(_PATHS_PER_TEXT * n_best), n_best)
        if free.score - path.score <= _plausible(len(path.labels))
    ]
    free_mass, w = chain.text_probability(free), options.wrong_length
    candidates = chain.candidate_probabilities(1.0)[0]
    if not texts:
        return row.draft([(free, w * free_mass)], w * candidates, chain.shares)
    obeying = max(_share(steered.log_mass(options.temperature), chain), sum(mass for _, mass in texts))
    readable = _share(readable_log_mass(scores, least, most, options.temperature), chain)
    unreadable = max(chain.candidate_probabilities(0.0)[1] - readable, 0.0)
    kept = min(obeying + unreadable, 1.0)
    kept += w * (1.0 - kept)
    ranked = [(path, min(mass / kept, 1.0)) for path, mass in texts]
    if all(path.labels != free.labels for path, _ in texts):
        ranked.append((free, min(w * free_mass / kept, 1.0)))
    best = max(ranked[: len(texts)], key=lambda text: text[1])
    others = sorted((text for text in ranked if text is not best), key=lambda text: -text[1])
    ruly = min(obeying, 1.0) * steered.shares(options.temperature)
    unruly = candidates[:, None] * chain.shares
    labels = (ruly + w * (unruly - ruly).clip(0.0)) / kept
    return row.draft([best, *others], np.ones(len(labels)), labels)


def _with_length(automaton: Automaton, least: int, most: int, pieces: int) -> Automaton:
    """The automaton, and the length range as far as a row of so many pieces can break it."""
    if most >= pieces:
        return automaton if least <= 0 else AllOf((automaton, LengthRange(least)))
    return AllOf((automaton, LengthRange(least, most)))


def _plausible(characters: int) -> float:
    return min(MOST_NATS, PLAUSIBLE_NATS * max(characters, 1))


def _texts(paths: Iterable[Path], limit: int) -> list[Path]:
    """The best path of each text."""
    found: dict[tuple[int, ...], Path] = {}
    for path in paths:
        found.setdefault(path.labels, path)
        if len(found) == limit:
            break
    return list(found.values())


def _share(log_mass: float, chain: LatticeChain) -> float:
    return exp(min(log_mass - chain.log_mass, 0.0))
