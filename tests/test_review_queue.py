"""The queue of the desk: who gets which field, what becomes of answers, and what newer runs change."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from review.desk import Desk
from review.keys import CharacterKey, parse_character_id, parse_field_id
from review.marks import Kept, Said
from review.problems import ProblemError
from review.tables import corrections, kinds, queue, taken_runs, verifiers
from tests.desk_folder import field, key_of, open_desk, slips, write_run


@pytest.fixture
def desk(tmp_path: Path):
    desk = open_desk(slips(tmp_path))
    yield desk
    desk.close()


def names(leased: dict) -> list[str]:
    return [f"{Path(row['source']).stem}.{row['field']}" for row in leased["fields"]]


def ids(leased: dict) -> list[str]:
    return [row["id"] for row in leased["fields"]]


def answer(desk: Desk, field_id: str, text: str = "5", verifier: str = "ann"):
    return desk.queue.answer(parse_field_id(field_id), verifier, "text", text)


def counted_as_kept(desk: Desk) -> None:
    """The counts that are kept with every answer are those of the queue."""
    with desk.database.reading() as connection:
        c = queue.c
        open_ones = sa.func.sum(sa.case((c.state == "open", 1), else_=0))
        real = connection.execute(sa.select(c.kind, sa.func.count(), open_ones).group_by(c.kind)).all()
        kept = connection.execute(sa.select(kinds.c.kind, kinds.c.total, kinds.c.open)).all()
    assert sorted(map(tuple, kept)) == sorted(map(tuple, real))


def test_the_worst_come_first_in_batches_of_one_kind(desk):
    assert names(desk.lease("ann", 2, None, [])) == ["s0.a", "s1.a"]
    assert names(desk.lease("bob", 5, None, [])) == ["s2.a"]
    assert names(desk.lease("bob", 5, "slip/b", [])) == ["s0.b", "s1.b", "s2.b"]


def test_a_batch_stays_with_its_kind_until_nothing_of_it_is_left(desk):
    held: list[str] = []
    seen = []
    for _ in range(6):
        leased = desk.lease("ann", 1, None, held)
        seen += names(leased)
        held += ids(leased)
    assert seen == ["s0.a", "s1.a", "s2.a", "s0.b", "s1.b", "s2.b"]
    desk.queue.release("ann", held)
    assert names(desk.lease("ann", 1, None, [])) == ["s0.b"]  # the kind of the last batch, though a is worse


def test_of_a_kind_asked_for_nothing_else_comes(desk):
    desk.lease("bob", 3, "slip/a", [])
    leased = desk.lease("ann", 3, "slip/a", [])
    assert leased["fields"] == []
    assert leased["remaining"] == 6
    assert [kind["remaining"] for kind in leased["kinds"]] == [3, 3]


def test_two_never_get_the_same_field(tmp_path):
    desk = open_desk(slips(tmp_path, 40))
    start = threading.Barrier(4)

    def take(verifier: str) -> list[str]:
        start.wait()
        taken: list[str] = []
        for _ in range(10):
            taken += ids(desk.lease(verifier, 3, None, taken))
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(take, ["ann", "bob", "cem", "dia"]))
    desk.close()
    everything = [field_id for part in taken for field_id in part]
    assert len(everything) == len(set(everything)) == 80
    assert all(taken)


def test_leases_end_and_are_renewed(tmp_path):
    desk = open_desk(slips(tmp_path), lease_seconds=1000.0)
    first = ids(desk.lease("ann", 1, None, []))
    with desk.database.writing() as connection:  # as if the time had passed
        connection.execute(sa.update(queue).values(leased_until=1.0))
    renewed = desk.lease("ann", 0, None, first)
    assert renewed["lost"] == []
    assert ids(desk.lease("bob", 1, None, [])) != first
    with desk.database.writing() as connection:
        connection.execute(sa.update(queue).values(leased_until=1.0))
    assert ids(desk.lease("bob", 1, None, [])) == first
    assert desk.lease("ann", 0, None, first)["lost"] == first
    with pytest.raises(ProblemError, match="bob is looking") as problem:
        answer(desk, first[0], verifier="ann")
    assert problem.value.status == 409
    desk.close()


def test_a_page_that_is_opened_again_gets_its_fields_again(desk):
    assert names(desk.lease("ann", 2, None, [])) == names(desk.lease("ann", 2, None, []))


def test_released_fields_are_free(desk):
    first = ids(desk.lease("ann", 1, None, []))
    desk.queue.release("bob", first)  # they are not his
    assert ids(desk.lease("bob", 1, None, [])) != first
    desk.queue.release("ann", first)
    assert ids(desk.lease("bob", 1, None, [])) == first


def test_answers_are_added_and_said_twice_kept_once(desk):
    (field_id,) = ids(desk.lease("ann", 1, None, []))
    first = answer(desk, field_id, "42")
    again = answer(desk, field_id, "42")
    other = answer(desk, field_id, "43")
    assert (first.verified_text, first.saved_at) == (again.verified_text, again.saved_at)
    assert other.saved_at > first.saved_at
    with desk.database.reading() as connection:
        rows = connection.execute(sa.select(corrections).order_by(corrections.c.id)).mappings().all()
    assert [(row["text"], row["read_text"], row["verifier"], row["run"]) for row in rows] == [
        ("42", "10", "ann", "run1"),
        ("43", "10", "ann", "run1"),
    ]
    progress = desk.queue.progress("ann")
    assert progress == {"review": 6, "done": 1, "remaining": 5, "mine": 1, "last_hour": 1}
    counted_as_kept(desk)


def test_what_somebody_else_has_answered_is_not_overwritten(desk):
    (field_id,) = ids(desk.lease("ann", 1, None, []))
    answer(desk, field_id, "42")
    with pytest.raises(ProblemError, match="ann has answered") as problem:
        answer(desk, field_id, "43", verifier="bob")
    assert problem.value.code == "already_answered"
    undone = desk.queue.undo(parse_field_id(field_id), "bob")
    assert undone["leased_to"] == "bob"
    assert answer(desk, field_id, "43", verifier="bob").verified_text == "43"


def test_a_person_s_own_count_is_of_the_fields_whose_answer_is_theirs(desk):
    def counts() -> tuple[int, int, int]:
        told = [desk.queue.progress(name) for name in ("ann", "bob")]
        return told[0]["mine"], told[1]["mine"], told[0]["last_hour"]

    keys = [key_of(desk.options.output, f"s{n}.png", "a") for n in range(2)]
    for key in keys:
        desk.queue.answer(key, "ann", "text", "1")
    assert counts() == (2, 0, 2)
    desk.queue.undo(keys[0], "bob")  # who corrects it
    assert counts() == (1, 0, 1)
    desk.queue.answer(keys[0], "bob", "text", "2")
    assert counts() == (1, 1, 2)
    desk.queue.answer(keys[1], "ann", "blank", None)  # another answer of her own
    assert counts() == (1, 1, 2)
    desk.queue.undo(keys[1], "ann")
    desk.queue.answer(keys[1], "ann", "text", "3")
    assert counts() == (1, 1, 2)
    again = open_desk(desk.options.output)
    assert [again.queue.progress(name)["mine"] for name in ("ann", "bob", "eve")] == [1, 1, 0]
    again.close()


def test_undoing_brings_the_field_back_to_who_undid(desk):
    (field_id,) = ids(desk.lease("ann", 1, None, []))
    key = parse_field_id(field_id)
    with pytest.raises(ProblemError) as problem:
        desk.queue.undo(key, "ann")
    assert problem.value.code == "nothing_to_undo"
    answer(desk, field_id)
    desk.queue.undo(key, "ann")
    assert desk.verdict(key) is None
    assert desk.queue.progress("ann")["remaining"] == 6
    assert desk.queue.progress("ann")["mine"] == 0
    assert ids(desk.lease("bob", 1, None, [])) != [field_id]
    assert ids(desk.lease("ann", 1, None, [])) == [field_id]
    counted_as_kept(desk)


def test_only_the_answer_that_is_meant_is_taken_back(desk):
    (field_id,) = ids(desk.lease("bob", 1, None, []))
    answer(desk, field_id, "15", verifier="bob")
    key = parse_field_id(field_id)
    for other in (("eve", "text", "15"), ("bob", "text", "16"), ("bob", "blank", None)):
        with pytest.raises(ProblemError) as problem:
            desk.queue.undo(key, "eve", other)
        assert (problem.value.status, problem.value.code) == (409, "another_answer")
    assert desk.verdict(key)["text"] == "15"
    desk.queue.undo(key, "bob", ("bob", "text", "15"))
    assert desk.verdict(key) is None


def test_an_accepted_field_can_be_answered_too(desk):
    key = key_of(desk.options.output, "s1.png", "c")
    saved = desk.queue.answer(key, "ann", "unreadable", None)
    assert (saved.verdict, saved.verified_text) == ("unreadable", None)
    assert desk.queue.progress(None)["review"] == 7
    counted_as_kept(desk)
    with pytest.raises(ProblemError) as problem:
        desk.queue.answer(key._replace(field="nowhere"), "ann", "blank", None)
    assert problem.value.status == 404


def test_corrections_stay_with_the_scan_when_a_newer_run_arrives(desk):
    output = desk.options.output
    scan = str(output.parent / "scans" / "s0.png")
    answered, open_one = key_of(output, "s0.png", "a"), key_of(output, "s0.png", "b")
    desk.queue.answer(answered, "ann", "text", "99")
    write_run(
        output, "run2",
        {scan: [field("a", "77", 0.3), field("b", "20", 0.95, "accepted"), field("c", "70", 0.2)]},
    )  # fmt: skip
    assert desk.take_in() == 2
    assert desk.verdict(answered)["text"] == "99"
    assert desk.queue.find(answered)["state"] == "done"
    assert desk.queue.find(answered)["text"] == "77"
    assert desk.queue.find(open_one) is None  # is doubtful no more
    assert desk.queue.find(key_of(output, "s0.png", "c"))["state"] == "open"
    assert desk.queue.progress(None) == {"review": 6, "done": 1, "remaining": 5, "mine": 0, "last_hour": 1}
    counted_as_kept(desk)


def test_a_scan_that_moved_keeps_what_was_said(desk):
    output = desk.options.output
    key = key_of(output, "s0.png", "a")
    desk.queue.answer(key, "ann", "text", "99")
    moved = output.parent / "archive" / "s0.png"
    moved.parent.mkdir()
    (output.parent / "scans" / "s0.png").rename(moved)
    write_run(output, "run2", {str(moved): [field("a", "55", 0.2)]})
    desk.take_in()
    assert desk.queue.find(key)["state"] == "done"
    assert desk.queue.find(key)["source"] == str(moved)


def test_runs_are_taken_in_once_and_again_after_a_deleted_one(desk):
    output = desk.options.output
    assert desk.take_in() == 0
    scan = str(output.parent / "scans" / "s0.png")
    write_run(output, "run2", {scan: [field("a", "10", 0.99, "accepted")]}, failures=["/gone.png"])
    desk.take_in()
    assert desk.queue.progress(None)["review"] == 4
    (output / "_runs" / "run2.json").unlink()
    desk.take_in()
    assert desk.queue.progress(None)["review"] == 6
    counted_as_kept(desk)


def test_a_take_in_that_was_killed_is_done_again(tmp_path, monkeypatch):
    output = slips(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("review.intake.count_kinds", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            open_desk(output)
    desk = open_desk(output)
    assert desk.queue.progress(None)["review"] == 6
    counted_as_kept(desk)
    desk.close()


def test_a_queue_that_was_lost_is_made_again_from_the_runs(desk):
    """Only what people said needs a backup."""
    key = key_of(desk.options.output, "s0.png", "a")
    desk.queue.answer(key, "ann", "text", "99")
    with desk.database.writing() as connection:
        for table in (queue, kinds, taken_runs, verifiers):
            connection.execute(sa.delete(table))
    assert desk.take_in() == 6
    assert desk.queue.find(key)["state"] == "done"
    assert desk.queue.progress(None)["remaining"] == 5
    counted_as_kept(desk)


def test_a_wrong_character_sends_its_field_back(desk):
    output = desk.options.output
    accepted, answered = key_of(output, "s0.png", "c"), key_of(output, "s1.png", "c")
    desk.queue.answer(answered, "ann", "text", "11")  # another text than was read
    confirmed = key_of(output, "s0.png", "a")
    desk.queue.answer(confirmed, "ann", "text", "10")
    said = [Said(CharacterKey(key, 0), "wrong") for key in (accepted, answered, confirmed)]
    assert desk.marks.save("bob", said) == Kept(3, [accepted.id, confirmed.id], [], [])
    assert desk.queue.find(accepted)["state"] == "open"
    assert names(desk.lease("bob", 1, None, [])) == ["s0.a"]
    assert desk.verdict(confirmed)["text"] == "10"  # stands until somebody says otherwise
    desk.queue.answer(confirmed, "bob", "text", "12")
    counted_as_kept(desk)
    assert desk.marks.latest([CharacterKey(accepted, 0)])[CharacterKey(accepted, 0)]["verdict"] == "wrong"


def test_a_marked_field_stays_in_the_queue_when_a_newer_run_accepts_it_again(desk):
    output = desk.options.output
    key = key_of(output, "s0.png", "c")
    desk.marks.save("bob", [Said(CharacterKey(key, 1), "label", "8")])
    write_run(output, "run2", {str(output.parent / "scans" / "s0.png"): [field("c", "78", 0.97, "accepted")]})
    desk.take_in()
    assert desk.queue.find(key)["state"] == "open"
    assert desk.queue.find(key)["text"] == "78"
    assert names(desk.lease("ann", 1, None, [])) == ["s0.c"]  # before all others, as it was
    counted_as_kept(desk)


def test_a_mark_of_a_character_that_is_gone_keeps_no_other_from_being_saved(desk):
    key = key_of(desk.options.output, "s0.png", "c")
    good, bad = CharacterKey(key, 0), CharacterKey(key, 9)
    kept = desk.marks.save("bob", [Said(bad, "wrong"), Said(good, "wrong")])
    assert kept == Kept(1, [key.id], [bad.id], [])
    assert desk.marks.latest([good, bad]).keys() == {good}
    assert desk.marks.save("bob", [Said(bad, "wrong")]) == Kept(0, [], [bad.id], [])


def test_a_mark_of_another_reading_than_was_shown_is_not_kept(desk):
    output = desk.options.output
    one, other = (CharacterKey(key_of(output, "s0.png", name), 0) for name in "bc")
    pages = {str(output.parent / "scans" / "s0.png"): [field("b", "20", 0.5), field("c", "41", 0.99)]}
    write_run(output, "run2", pages)
    desk.take_in()
    seen = [Said(one, "right", None, "2", "run1"), Said(other, "right", None, "7")]
    assert desk.marks.save("bob", seen) == Kept(0, [], [], [one.id, other.id])
    assert desk.marks.latest([one, other]) == {}
    again = [Said(one, "right", None, "2", "run2"), Said(other, "right", None, "4")]
    assert desk.marks.save("bob", again) == Kept(2, [], [], [])


def test_ids_are_words_that_give_the_key_back(desk):
    key = key_of(desk.options.output, "s0.png", "a")._replace(field="ü/ö \n.-", template="..")
    assert parse_field_id(key.id) == key
    assert parse_character_id(CharacterKey(key, 12).id) == CharacterKey(key, 12)
    for wrong in ("", "x", key.id + "A", key.id.replace("-1-", "-0-"), key.id[:-1] + "!", "a-1-_____w"):
        assert parse_field_id(wrong) is None
    assert parse_character_id(key.id) is None
