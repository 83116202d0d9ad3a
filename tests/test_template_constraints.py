"""What a template states about a text: checked as it is read, carried to workers, and obeyed by the rows."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from pipeline_fakes import options_for
from test_constraints import row_of, sure

from model.automata import accepts_text
from model.constraints import read_rows
from model.decoding import CharacterReading, Reading
from pipeline.reading import field_status, page_rows
from pipeline.records import PageKey, PageToClassify
from pipeline.rules import constraint_of, obeys, with_values
from segmentation.field_rules import CHARSET_CHARACTERS, spelling
from segmentation.page import GlyphLine, SegmentedField, SegmentedPage
from segmentation.registration import Registration
from segmentation.templates import FieldSpec, FormTemplate, TemplateError, parse_template

HEAD = """
[form]
name = "t"
dpi = 300
width = 1000
height = 500
[[field]]
name = "a"
box = [10, 10, 500, 90]
"""


def template(keys: str, file: str = "t.toml") -> FormTemplate:
    return parse_template((HEAD + keys).encode(), file)


def field(keys: str, file: str = "t.toml") -> FieldSpec:
    return template(keys, file).fields[0]


@pytest.fixture
def states(tmp_path: Path) -> str:
    """The path of a template beside a file with three states."""
    (tmp_path / "states.txt").write_text("Ohio\nNew York\n\n  Iowa \n", "utf-8")
    return str(tmp_path / "t.toml")


class TestKeys:
    def test_a_field_without_rules_has_none(self) -> None:
        spec = field("")
        assert (spec.pattern, spec.lexicon, spec.check_digit, spec.permutation) == ("", (), "", False)
        assert constraint_of(spec).automaton is None

    def test_a_pattern_says_how_long_a_text_is(self) -> None:
        spec = field("charset = 'alphanumeric'\npattern = '[A-Z]{2}\\d{4}'")
        assert (spec.min_length, spec.max_length) == (6, 6)
        spec = field("charset = 'digits'\npattern = '\\d+'")
        assert (spec.min_length, spec.max_length) == (1, 600)
        spec = field("charset = 'digits'\npattern = '\\d+'\nlength = [2, 4]")
        assert (spec.min_length, spec.max_length) == (2, 4)

    def test_a_lexicon_comes_from_a_file_beside_the_template(self, states: str) -> None:
        spec = field("charset = 'upper'\nlexicon = 'states.txt'", states)
        assert spec.lexicon == ("Ohio", "New York", "Iowa")
        assert (spec.min_length, spec.max_length) == (4, 7)

    def test_its_values_travel_with_the_template(self, states: str) -> None:
        before = template("charset = 'upper'\nlexicon = 'states.txt'", states)
        (Path(states).parent / "states.txt").unlink()
        assert pickle.loads(pickle.dumps(before)).fields[0].lexicon == ("Ohio", "New York", "Iowa")

    def test_the_hash_covers_the_values(self, states: str) -> None:
        keys = "charset = 'upper'\nlexicon = 'states.txt'"
        before, again = template(keys, states).sha256, template(keys, states).sha256
        (Path(states).parent / "states.txt").write_text("Ohio\n", "utf-8")
        assert before == again != template(keys, states).sha256

    def test_the_values_may_stand_in_the_template(self) -> None:
        spec = field("charset = 'upper'\nlexicon = ['St. Louis', 'Zürich']")
        assert spec.lexicon == ("St. Louis", "Zürich")
        assert (spec.min_length, spec.max_length) == (6, 7)

    def test_permutation(self) -> None:
        spec = field("charset = 'upper'\npermutation = true")
        assert spec.permutation
        assert (spec.min_length, spec.max_length) == (0, 26)
        assert constraint_of(spec).permutation

    def test_words_of_a_paragraph_may_differ_in_case_and_length(self) -> None:
        spec = field("layout = 'paragraph'\nlexicon = ['We the', 'We']\nlength = [0, 600]")
        assert spec.lexicon == ("We", "the")
        assert constraint_of(spec).words is not None
        assert constraint_of(spec).automaton is None

    @pytest.mark.parametrize(
        ("keys", "told"),
        [
            ("pattern = 5", "pattern: 5 is no text"),
            ("pattern = '('", "pattern: is not understood: an opening bracket"),
            ("pattern = '12-34'", "'-'"),
            ("charset = 'upper'\npattern = '\\d{4}'", "nothing that the charset upper can spell"),
            ("charset = 'digits'\npattern = '\\d{4}'\nlength = 5", "allows no text of 5 to 5 characters"),
            ("layout = 'comb'\ncells = 3\npattern = '\\d{4}'", "allows no text of 0 to 3 characters"),
            ("lexicon = 'nowhere.txt'", "nowhere.txt cannot be read"),
            ("lexicon = 7", "neither a list of values nor a path"),
            ("lexicon = []", "has 0 values"),
            ("charset = 'digits'\nlexicon = ['12', '1A']", "'1A' has 'A', which the charset digits lacks"),
            ("charset = 'upper'\nlexicon = ['a b', 'AB']", "written with the same characters"),
            ("charset = 'upper'\nlexicon = ['abc']\nlength = 4", "'abc' has 3 characters"),
            ("lexicon = ['Iowa']\npattern = 'a.*'", "'Iowa' does not fit the pattern"),
            ("lexicon = ['Привет']", "which the charset text lacks"),
            ("charset = 'digits'\ncheck_digit = 'luhm'", "'luhm' is unknown. Write one of: luhn, mod11"),
            ("charset = 'upper'\ncheck_digit = 'luhn'", "luhn means nothing to the charset upper"),
            ("charset = 'text'\ncheck_digit = 'mod11'", "'digits' or 'alphanumeric'"),
            ("permutation = 1", "permutation: 1 is not true or false"),
            ("charset = 'upper'\npermutation = true\nlength = 30", "allows no text of 30"),
            ("permutation = true\npattern = '.'", "cannot be combined with pattern"),
            ("layout = 'paragraph'\npattern = '.'", "pattern: means nothing to a paragraph"),
            ("layout = 'paragraph'\npermutation = true", "means nothing to a paragraph"),
            ("layout = 'mark'\nlexicon = ['yes']", "lexicon: means nothing to a mark"),
        ],
    )
    def test_what_cannot_be_is_told_with_file_key_and_remedy(self, keys: str, told: str) -> None:
        with pytest.raises(TemplateError) as caught:
            field(keys, "folder/t.toml")
        message = str(caught.value)
        assert message.startswith("folder/t.toml: field 'a' ")
        assert told in message
        assert message.endswith(".")

    def test_a_lexicon_typed_on_a_mac_reads_as_any_other(self, tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_text("Zoe\u0308\nAnna\nZo\u00eb\n", "utf-8")
        file = str(tmp_path / "t.toml")
        assert field("lexicon = 'names.txt'", file).lexicon == ("Zo\u00eb", "Anna")
        assert field("lexicon = ['Zoe\u0308']").lexicon == ("Zo\u00eb",)

    def test_a_lexicon_that_is_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "w.txt").write_bytes(b"Z\xfcrich\n")
        with pytest.raises(TemplateError, match="is not UTF-8"):
            field("lexicon = 'w.txt'", str(tmp_path / "t.toml"))


def test_spelling() -> None:
    assert spelling("St. Louis", "upper") == "STLOUIS"
    assert spelling("Zürich", "lower") == "zurich"
    assert spelling("O'Brien", "text") == "OBrien"
    with pytest.raises(ValueError, match="1"):
        spelling("a1", "letters")


def test_the_charsets_are_those_of_the_model() -> None:
    from model.alphabets import CHARSETS

    assert CHARSET_CHARACTERS == CHARSETS


class TestRows:
    def test_rules_are_joined(self) -> None:
        spec = field("charset = 'alphanumeric'\npattern = '[01].{8}[0-9X]'\ncheck_digit = 'mod11'")
        automaton = constraint_of(spec).automaton
        assert automaton is not None
        assert accepts_text(automaton, "080442957X")
        assert not accepts_text(automaton, "0804429571")
        assert not accepts_text(automaton, "9780306406")

    def test_a_value_is_written_as_the_template_has_it(self) -> None:
        spec = field("charset = 'upper'\nlexicon = ['New York', 'Ohio', 'St. Paul']")
        reading = with_values(spec, read_rows([sure("NEWYORK", 1e-4)], [constraint_of(spec)])[0])
        assert reading.text == "New York"
        assert reading.confidence > 0.99
        assert field_status(spec, reading.text, reading.confidence, 0.9) == "accepted"
        assert obeys(spec, "St. Paul")

    def test_ink_that_is_none_of_the_values_goes_to_review_beside_its_raw_reading(self) -> None:
        spec = field("charset = 'upper'\nlexicon = ['Ohio', 'Utah']")
        near = with_values(spec, read_rows([sure("OHIA", 1e-4)], [constraint_of(spec)])[0])
        assert near.text == "Ohio"
        assert near.runners_up[0][0] == "OHIA"
        assert field_status(spec, near.text, near.confidence, 0.9) == "review"
        far = with_values(spec, read_rows([sure("PERU")], [constraint_of(spec)])[0])
        assert far.text == "PERU"
        assert field_status(spec, far.text, 1.0, 0.9) == "review"

    @pytest.mark.parametrize(
        ("keys", "good", "bad"),
        [
            ("charset = 'digits'\ncheck_digit = 'luhn'", "18", "19"),
            ("charset = 'upper'\npermutation = true", "ABC", "ABA"),
            ("charset = 'digits'\npattern = '1\\d'", "1 7", "27"),
            ("charset = 'digits'\nlength = 2", "12", "123"),
        ],
    )
    def test_a_broken_rule_is_never_accepted(self, keys: str, good: str, bad: str) -> None:
        spec = field(keys)
        assert field_status(spec, good, 0.99, 0.9) == "accepted"
        assert field_status(spec, bad, 0.99, 0.9) == "review"

    def test_the_rows_of_a_page_follow_the_rules(self, tmp_path: Path) -> None:
        """Three doubtful digits on a page, for which the template allows one value only."""
        form = template("charset = 'digits'\nlexicon = ['777', '123']")
        lattice = row_of([{"1": 0.6, "7": 0.4}] * 3)
        count = len(lattice.starts)
        line = GlyphLine(
            lattice.starts.astype(np.int16),
            lattice.stops.astype(np.int16),
            np.zeros((count, 28, 28), np.uint8),
            np.zeros((count, 4), np.float32),
            lattice.bounds,
            lattice.piece_bounds,
            lattice.piece_ink,
        )
        found = SegmentedField("a", np.zeros(4, np.float32), (line,), 0.1)
        page = SegmentedPage(1000, 500, Registration(np.eye(2, 3), 0.0, 1, 1), (found,), {})
        options = options_for(tmp_path, tmp_path)
        options = type(options)(**{**vars(options), "template": form})
        rows = page_rows(
            PageToClassify(PageKey("f", 1), "h", page, {}), lattice.log_probs, options, read_rows
        )
        (row,) = rows.fields
        assert (row["text"], row["status"]) == ("777", "accepted")

    def test_a_text_field_keeps_its_spaces_and_others_have_none(self) -> None:
        assert constraint_of(field("charset = 'text'")).spaces
        assert not constraint_of(field("charset = 'upper'")).spaces


def test_values_of_runners_up() -> None:
    spec = field("charset = 'upper'\nlexicon = ['New York', 'Newark']")
    reading = Reading(
        "NEWARK", 0.9, (CharacterReading("N", 0.9, 0, ()),), (("NEWYORK", 0.1), ("NEWYOR", 0.0))
    )
    assert with_values(spec, reading).runners_up == (("New York", 0.1), ("NEWYOR", 0.0))
