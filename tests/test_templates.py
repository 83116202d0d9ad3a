"""Template files: what loads, and what each mistake is told."""

import re

import pytest

from segmentation.templates import TemplateError, load_template, parse_template, shipped_templates

FORM = '[form]\nname = "f"\ndpi = 300\nwidth = 1000\nheight = 800\n'
FIELD = '[[field]]\nname = "a"\nbox = [10, 20, 300, 90]\ncharset = "digits"\nlength = [2, 5]\n'


def parse(text: str):
    return parse_template(text.encode(), "form.toml")


def with_field(line: str) -> str:
    """The good file with one line of its field replaced, or added if there is none of that key."""
    key = line.split(" ")[0]
    kept = [old for old in FIELD.splitlines() if not old.startswith(f"{key} ")]
    return FORM + "\n".join([*kept, line])


def test_a_good_file_loads_with_its_values():
    template = parse(FORM + 'title = "A form"\n' + FIELD)
    assert (template.name, template.title, template.dpi) == ("f", "A form", 300)
    assert (template.width, template.height) == (1000, 800)
    spec = template.field("a")
    assert (spec.box.x, spec.box.y, spec.box.right, spec.box.bottom) == (10, 20, 310, 110)
    assert (spec.layout, spec.charset, spec.min_length, spec.max_length) == ("line", "digits", 2, 5)
    assert spec.framed


def test_defaults_are_a_framed_line_of_any_text():
    spec = parse(FORM + '[[field]]\nname = "a"\nbox = [10, 20, 300, 90]\n').fields[0]
    assert (spec.layout, spec.charset, spec.framed) == ("line", "text", True)
    assert spec.min_length == 0 < spec.max_length


def test_one_number_is_an_exact_length():
    spec = parse(with_field("length = 7")).fields[0]
    assert (spec.min_length, spec.max_length) == (7, 7)


def test_the_hash_is_of_the_bytes_and_no_part_of_equality():
    one, other = parse(FORM + FIELD), parse("# a remark\n" + FORM + FIELD)
    assert one.sha256 != other.sha256
    assert one == other


def test_an_unknown_field_is_a_key_error():
    with pytest.raises(KeyError):
        parse(FORM + FIELD).field("b")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[form", "file"),
        (FIELD, "[form]"),
        (FORM, "[[field]]"),
        ("field = [1]\n" + FORM, "field 0"),
        ("field = []\n" + FORM, "[[field]]"),
        ("form = 3\n" + FIELD, "[form]"),
        (FORM.replace("dpi = 300", "dpi = nan") + FIELD, "form dpi"),
        (FORM.replace("dpi = 300", 'dpi = "300"') + FIELD, "form dpi"),
        (FORM.replace("width = 1000", "width = 0") + FIELD, "form width"),
        (FORM.replace('name = "f"\n', "") + FIELD, "form name"),
        (FORM + "colour = 1\n" + FIELD, "form 'colour'"),
        (FORM + FIELD + FIELD, "field 'a'"),
        (with_field("box = [10, 20, 300]"), "field 'a' box"),
        (with_field("box = [10, 20, 300, true]"), "field 'a' box"),
        (with_field("box = [10, 20, 991, 90]"), "field 'a' box"),
        (with_field("box = [-1, 20, 300, 90]"), "field 'a' box"),
        (with_field("box = [10, 20, 300, nan]"), "field 'a' box"),
        (with_field("box = [10, nan, 300, 90]"), "field 'a' box"),
        (with_field("box = [10, 20, inf, 90]"), "field 'a' box"),
        (with_field("box = [10, 20, 300, 9]"), "field 'a' box"),
        (with_field('layout = "table"'), "field 'a' layout"),
        (with_field('charset = "greek"'), "field 'a' charset"),
        (with_field("length = [5, 2]"), "field 'a' length"),
        (with_field("length = 0"), "field 'a' length"),
        (with_field("length = true"), "field 'a' length"),
        (with_field('frame = "yes"'), "field 'a' frame"),
        (with_field('name = " "'), "field ' ' name"),
        (with_field("size = 3"), "field 'a' 'size'"),
    ],
)
def test_a_mistake_names_the_file_the_key_and_a_remedy(text, key):
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert caught.value.file == "form.toml"
    assert caught.value.key == key
    assert re.fullmatch(r"form\.toml: .+\. .+\.", str(caught.value).replace("\n", " "))


def test_a_low_box_needs_no_room_for_a_frame_it_does_not_have():
    spec = parse(with_field("box = [10, 20, 300, 9]") + "\nframe = false").fields[0]
    assert not spec.framed


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_other_encodings_are_refused_with_what_to_do(encoding):
    data = f"# für uns\n{FORM}{FIELD}".encode(encoding)
    with pytest.raises(TemplateError, match=r"not UTF-8.*Save it as UTF-8") as error:
        parse_template(data, "form.toml")
    assert "TOML" not in str(error.value)


def test_a_byte_order_mark_does_not_matter():
    assert (
        parse_template((FORM + FIELD).encode("utf-8-sig"), "form.toml").fields == parse(FORM + FIELD).fields
    )


def test_a_file_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FORM + FIELD)
    assert load_template(str(path)) == parse(FORM + FIELD)


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_a_template_that_is_not_there_names_those_that_are(name):
    with pytest.raises(TemplateError, match="hsf"):
        load_template(name)


def test_shipped_templates_load():
    assert "hsf" in shipped_templates()
    for name in shipped_templates():
        assert load_template(name).fields


def test_hsf_has_the_34_boxes_of_the_form():
    template = load_template("hsf")
    assert (len(template.fields), template.dpi, template.width, template.height) == (34, 300, 2560, 3300)
    lengths = [spec.max_length for spec in template.fields if spec.charset == "digits"]
    assert len(lengths) == 28
    assert sum(lengths) == 130
