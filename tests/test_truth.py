"""Truth files: the three kinds, what is wrong with bad ones, and which page each is about."""

import json
import unicodedata
from pathlib import Path

import pytest

from jobs.truth import PageTruth, Truth, TruthError, match_truth, read_truth

ROOT = Path(__file__).resolve().parent.parent


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def truth_of(*sources: str, **fields: str) -> Truth:
    return Truth(tuple(PageTruth(source, 1, fields or {"a": "1"}, "t.json") for source in sources))


def test_json_one_page_or_several(tmp_path):
    write(tmp_path, "one.json", {"source": "a.png", "fields": {"n": "12"}, "note": "ignored"})
    write(tmp_path, "two.json", [{"source": "b.tif", "page": 2, "fields": {"n": "3"}}])
    pages = read_truth([tmp_path]).pages
    assert [(p.source, p.page, p.fields) for p in pages] == [
        ("a.png", 1, {"n": "12"}),
        ("b.tif", 2, {"n": "3"}),
    ]


def test_the_sample_forms_have_truth():
    truth = read_truth([ROOT / "sample_forms" / "hsf"])
    assert len(truth.pages) >= 6
    assert all(len(page.fields["fld_03"]) == 10 for page in truth.pages)


def test_csv_groups_lines_by_page_and_keeps_empty_texts_and_zeros(tmp_path):
    path = write(
        tmp_path,
        "truth.csv",
        '\ufeffsource,page,field,text\na.png,1,n,007\na.png,1,m,\na.png,2,n,"x,\ny"\nb.png,,n,5\n',
    )
    pages = read_truth([path]).pages
    assert [(p.source, p.page, dict(p.fields)) for p in pages] == [
        ("a.png", 1, {"n": "007", "m": ""}),
        ("a.png", 2, {"n": "x,\ny"}),
        ("b.png", 1, {"n": "5"}),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "source;field;text\r\na.png;n;1,5\r\n",
        'Source,Field,Text\na.png,n,"1,5"\n',
        "Page; SOURCE ;Field;Text\n1;a.png;n;1,5\n",
        "source\tfield\ttext\na.png\tn\t1,5\n",
    ],
)
def test_csv_as_spreadsheets_write_it(tmp_path, content):
    (page,) = read_truth([write(tmp_path, "truth.csv", content)]).pages
    assert (page.source, page.page, page.fields) == ("a.png", 1, {"n": "1,5"})


def test_nist_references_hold_for_the_pages_of_their_form(tmp_path):
    write(tmp_path, "ref_10.txt", "fld 0\nfld 3 0123456789\nfld 33 We, the People\n\n")
    truth = read_truth([tmp_path])
    assert truth.references["10"].fields == {"fld_03": "0123456789", "fld_33": "We, the People"}
    matching = match_truth(truth, [("/s/f4164_10.png", 1), ("/s/f0001_11.png", 1)])
    assert matching.fields(("/s/f4164_10.png", 1))["fld_03"] == "0123456789"
    assert matching.without_truth == (("/s/f0001_11.png", 1),)


def test_a_page_with_a_truth_of_its_own_does_not_take_the_reference(tmp_path):
    write(tmp_path, "ref_10.txt", "fld 3 0123456789\n")
    write(tmp_path, "own.json", {"source": "f4164_10.png", "fields": {"fld_04": "77"}})
    matching = match_truth(read_truth([tmp_path]), [("/s/f4164_10.png", 1)])
    assert matching.fields(("/s/f4164_10.png", 1)) == {"fld_04": "77"}


def test_other_files_of_a_folder_are_listed_not_lost(tmp_path):
    write(tmp_path, "boxes.json", {"boxes": [1, 2]})
    write(tmp_path, "other.csv", "a,b\n1,2\n")
    write(tmp_path, "notes.txt", "hello")
    write(tmp_path, "a.json", {"source": "a.png", "fields": {}})
    truth = read_truth([tmp_path])
    assert [Path(name).name for name in truth.skipped] == ["boxes.json", "notes.txt", "other.csv"]
    assert len(truth.pages) == 1


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", {"boxes": []}, "holds no truth"),
        ("a.json", {"source": "", "fields": {}}, "source"),
        ("a.json", {"source": ".", "fields": {"n": "1"}}, "source"),
        ("a.json", {"source": "a.png", "fields": {"n": 12}}, "fields"),
        ("a.json", {"source": "a.png", "page": 0, "fields": {}}, "page"),
        ("a.csv", "source,text\na,b\n", "holds no truth"),
        ("a.csv", "source,field,text\na.png,n\n", "line 2"),
        ("a.csv", "source,field,text\n./,n,1\n", "line 2"),
        ("a.csv", 'source,field,text\na.png,n,"' + "x\n" * 90_000, "not valid CSV"),
        ("a.csv", "source,field,text\na.png,n,1\na.png,n,2\n", "twice"),
        ("a.csv", "source,field,text,page\na.png,n,1,x\n", "page 'x'"),
        ("ref_07.txt", "fld 3 12\nfoo\n", "line 2"),
        ("a.png", "x", "holds no truth"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name, content, part):
    path = write(tmp_path, name, content)
    with pytest.raises(TruthError, match=part) as error:
        read_truth([path])
    assert str(path) in str(error.value)


def test_latin_1_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("source,field,text\na.png,n,é\n".encode("latin-1"))
    with pytest.raises(TruthError, match="UTF-8"):
        read_truth([path])


def test_nothing_and_nowhere_are_errors(tmp_path):
    with pytest.raises(TruthError, match="no truth in there"):
        read_truth([tmp_path])
    with pytest.raises(TruthError, match="no such file"):
        read_truth([tmp_path / "gone"])


def test_a_name_fits_the_end_of_a_path_but_not_of_a_name():
    pages = [("/scans/a.png", 1), ("gs://bucket/x/b.png", 1), ("/scans/aa.png", 1)]
    matching = match_truth(truth_of("a.png", "x/b.png", "y/b.png"), pages)
    assert set(matching.found) == {("/scans/a.png", 1), ("gs://bucket/x/b.png", 1)}
    assert [truth.source for truth in matching.without_page] == ["y/b.png"]
    assert matching.without_truth == (("/scans/aa.png", 1),)


def test_two_pages_of_one_name_need_the_path():
    pages = [("/one/a.png", 1), ("/two/a.png", 1)]
    short = match_truth(truth_of("a.png"), pages)
    assert not short.found
    assert short.ambiguous[0][1] == tuple(pages)
    assert short.without_truth == tuple(pages)
    full = match_truth(truth_of("two/a.png"), pages)
    assert list(full.found) == [("/two/a.png", 1)]


def test_of_two_pages_of_one_name_the_one_beside_the_truth_is_meant(tmp_path):
    for folder, text in (("one", "1"), ("two", "2")):
        write(tmp_path / folder, "a.truth.json", {"source": "a.png", "fields": {"n": text}})
    pages = [(str(tmp_path / folder / "a.png"), 1) for folder in ("one", "two")]
    matching = match_truth(read_truth([tmp_path / "one", tmp_path / "two"]), pages)
    assert [matching.fields(page) for page in pages] == [{"n": "1"}, {"n": "2"}]


def test_truths_of_one_page_add_up_but_may_not_contradict_each_other():
    page = ("/s/a.png", 1)
    both = Truth((PageTruth("a.png", 1, {"n": "1"}, "x.json"), PageTruth("s/a.png", 1, {"m": "2"}, "y.csv")))
    assert match_truth(both, [page]).fields(page) == {"n": "1", "m": "2"}
    against = Truth((*both.pages, PageTruth("a.png", 1, {"n": "7"}, "z.json")))
    with pytest.raises(TruthError, match=r"z\.json.*x\.json"):
        match_truth(against, [page]).fields(page)


def test_pages_of_one_file_are_told_apart():
    truth = Truth(tuple(PageTruth("a.tif", n, {"n": str(n)}, "t.json") for n in (1, 2, 3)))
    matching = match_truth(truth, [("/s/a.tif", 1), ("/s/a.tif", 2)])
    assert matching.fields(("/s/a.tif", 2)) == {"n": "2"}
    assert [one.page for one in matching.without_page] == [3]


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("name", ["t.json", "t.csv", "ref_00.txt"])
def test_letters_with_accents_after_them_are_one_character_in_every_kind(tmp_path, name):
    content = {
        "t.json": json.dumps({"source": "a.png", "fields": {"fld_03": "Zoë"}}, ensure_ascii=False),
        "t.csv": "source,field,text\na.png,fld_03,Zoë\n",
        "ref_00.txt": "fld 3 Zoë\n",
    }[name]
    truth = read_truth([write(tmp_path, name, decomposed(content))])
    (page,) = truth.pages or truth.references.values()
    assert page.fields == {"fld_03": "Zoë"}


def test_names_of_scans_and_fields_with_accents_are_found_however_they_are_spelled(tmp_path):
    for here, there in [(decomposed, str), (str, decomposed)]:
        path = write(tmp_path, "t.json", {"source": here("Müller.png"), "fields": {here("Straße ü"): "1"}})
        page = there("/scans/Müller.png"), 1
        assert match_truth(read_truth([path]), [page]).fields(page) == {"Straße ü": "1"}


def test_two_names_that_look_the_same_are_refused(tmp_path):
    path = write(tmp_path, "t.json", {"source": "a.png", "fields": {"é": "1", decomposed("é"): "2"}})
    with pytest.raises(TruthError, match="look the same"):
        read_truth([path])
    path = write(tmp_path, "t.csv", f"source,field,text\na.png,é,1\na.png,{decomposed('é')},2\n")
    with pytest.raises(TruthError, match="twice"):
        read_truth([path])
