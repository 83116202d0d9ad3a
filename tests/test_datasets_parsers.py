"""MNIST, EMNIST, SD19, folders and names, each against small files made here."""

import gzip
import hashlib
import io
import struct
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from model.alphabets import CHARACTERS, NOT_A_CHARACTER, class_index
from model.datasets import (
    DATASETS,
    AbsentError,
    DatasetError,
    available_splits,
    catalogue,
    describe_datasets,
    open_dataset,
    picture_ink,
)
from model.datasets.download import RemoteFile
from model.datasets.idx import EMNIST_CHARACTERS, load_emnist, parse_idx
from model.datasets.ihead import parse_classes, read_stack
from model.datasets.sd19 import read_class_log

SEVEN = np.zeros((28, 28), np.uint8)
SEVEN[4:6, 6:22] = 255
SEVEN[6:24, 20:22] = 255


def shrink(ink):
    """Stands for the real normalisation."""
    return cv2.resize(ink, (28, 28), interpolation=cv2.INTER_AREA)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def texts(crops):
    return [CHARACTERS[label] for label in crops.labels]


# --- idx ---------------------------------------------------------------------------------------------------


def write_mnist(folder, pack=gzip.compress, ending=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, labels in (("train", [7, 0, 1]), ("t10k", [9])):
        images = np.stack([SEVEN + 0 * label for label in labels])
        (folder / f"{stem}-images-idx3-ubyte{ending}").write_bytes(pack(idx(images)))
        (folder / f"{stem}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(np.array(labels))))


@pytest.mark.parametrize(("pack", "ending"), [(gzip.compress, ".gz"), (bytes, "")])
def test_mnist_as_it_is(tmp_path, pack, ending):
    write_mnist(tmp_path / "raw", pack, ending)
    train = open_dataset("mnist", "train", folder=tmp_path, normalize=shrink)
    assert texts(train) == ["7", "0", "1"]
    assert np.array_equal(train.images[0], SEVEN)
    assert train.writers.tolist() == [-1, -1, -1]
    assert len(open_dataset("mnist", "all", folder=tmp_path, normalize=shrink)) == 4


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\x01\0", idx(np.zeros(9))[:-1], gzip.compress(b"x" * 99)[:30]],
)
def test_a_damaged_idx_file_is_named(data):
    with pytest.raises(DatasetError, match=r"broken\.gz"):
        parse_idx(data, "broken.gz")


def write_emnist(path, variant, labels, split="train"):
    images = np.stack([SEVEN.T] * len(labels))  # stored transposed, as the real ones are
    with zipfile.ZipFile(path, "a") as archive:
        stem = f"gzip/emnist-{variant}-{split}"
        archive.writestr(f"{stem}-images-idx3-ubyte.gz", gzip.compress(idx(images)))
        archive.writestr(f"{stem}-labels-idx1-ubyte.gz", gzip.compress(idx(np.array(labels))))


def test_emnist_comes_out_upright(tmp_path):
    write_emnist(tmp_path / "gzip.zip", "digits", [7])
    assert np.array_equal(load_emnist(tmp_path, "digits", "train", None).images[0], SEVEN)
    seen = []
    load_emnist(tmp_path, "digits", "train", lambda ink: seen.append(ink) or ink)
    assert np.array_equal(seen[0], SEVEN)


@pytest.mark.parametrize(
    ("variant", "labels", "expected"),
    [
        ("mnist", [0, 9], "09"),
        ("digits", [0, 9], "09"),
        ("letters", [1, 26], "AZ"),
        ("balanced", [9, 10, 35, 36, 37, 40, 46], "9AZabft"),
        ("bymerge", [18, 21, 38, 41, 42, 43, 44, 45], "ILdghnqr"),
        ("byclass", [0, 10, 35, 36, 61], "0AZaz"),
    ],
)
def test_emnist_labels(tmp_path, variant, labels, expected):
    write_emnist(tmp_path / "gzip.zip", variant, labels)
    loaded = open_dataset(f"emnist-{variant}", "train", folder=tmp_path, normalize=shrink)
    assert "".join(texts(loaded)) == expected


def test_the_merged_classes_are_the_47_of_the_paper():
    merged = EMNIST_CHARACTERS["balanced"]
    assert len(merged) == len(set(merged)) == 47
    assert set("abcdefghijklmnopqrstuvwxyz") - set(merged) == set("cijklmopsuvwxyz")


def test_emnist_label_outside_its_classes(tmp_path):
    write_emnist(tmp_path / "gzip.zip", "letters", [0])
    with pytest.raises(DatasetError, match=r"1\.\.26"):
        load_emnist(tmp_path, "letters", "train", None)


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "gzip.zip").write_bytes(b"PK half an archive")
    with pytest.raises(DatasetError, match=r"gzip\.zip: not a readable zip"):
        load_emnist(tmp_path, "letters", "train", None)


# --- SD19 --------------------------------------------------------------------------------------------------


def png(column):
    """128x128, dark on light, a bar in its own column: every picture has its own MD5."""
    gray = np.full((128, 128), 255, np.uint8)
    gray[20:100, column : column + 4] = 0
    return cv2.imencode(".png", gray)[1].tobytes()


def bar_column(crop):
    return int(np.argmax(crop.sum(axis=0))) * 128 // 28


def write_files(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


BY_CLASS = {
    "by_class/30/train_30/train_30_00000.png": png(8),
    "by_class/30/hsf_0/hsf_0_00000.png": png(8),
    "by_class/30/hsf_4/hsf_4_00000.png": png(16),
    "by_class/30/hsf_4.mit": b"not a picture",
    "by_class/4a/hsf_1/hsf_1_00000.png": png(24),
    "by_class/7a/hsf_4/hsf_4_00000.png": png(32),
}


@pytest.mark.parametrize("packed", [True, False])
def test_sd19_by_class(tmp_path, packed):
    if packed:
        write_zip(tmp_path / "by_class.zip", BY_CLASS)
    else:
        write_files(tmp_path, BY_CLASS)
    train = open_dataset("sd19-by-class", "train", folder=tmp_path, normalize=shrink)
    assert texts(train) == ["0", "J"]  # hsf_0 of "0" is in train_30 already
    assert train.images[0].max() > 150
    assert train.images[0, 0, 0] == 0
    assert texts(open_dataset("sd19-by-class", "test", folder=tmp_path, normalize=shrink)) == ["0", "z"]


def test_sd19_of_a_folder_that_is_by_class_itself(tmp_path):
    write_files(tmp_path, BY_CLASS)
    loaded = open_dataset("sd19-by-class", "test", folder=tmp_path / "by_class", normalize=shrink)
    assert texts(loaded) == ["0", "z"]


def test_an_unreadable_picture_costs_only_itself(tmp_path, caplog):
    write_files(
        tmp_path, BY_CLASS | {"by_class/31/hsf_0/hsf_0_00000.png": b"", "by_class/32/hsf_0/a.png": b"x"}
    )
    assert texts(open_dataset("sd19-by-class", "train", folder=tmp_path, normalize=shrink)) == ["0", "J"]
    assert "31/hsf_0/hsf_0_00000.png" in caplog.text


BY_WRITE = {
    "by_write/hsf_0/f0007_14/d0007_14/d0007_14_00000.png": png(8),
    "by_write/hsf_0/f0007_14/u0007_14/u0007_14_00000.png": png(24),
    "by_write/hsf_1/f0600_02/d0600_02/d0600_02_00000.png": png(40),
    "by_write/hsf_1/f0600_02/d0600_02/d0600_02_00001.png": png(48),
    "by_write/hsf_4/f2100_09/d2100_09/d2100_09_00000.png": png(16),
}


def class_log(files):
    return "".join(f"{hashlib.md5(data).hexdigest()} /data/{name}\n" for name, data in files.items())


@pytest.mark.parametrize("packed", [True, False])
def test_sd19_by_write_finds_classes_by_checksum(tmp_path, packed):
    if packed:
        write_zip(tmp_path / "by_write.zip", BY_WRITE)
    else:
        write_files(tmp_path, BY_WRITE)
    ambiguous = {"by_class/31/hsf_1/a.png": png(48), "by_class/6c/hsf_1/a.png": png(48)}
    log = class_log(BY_CLASS | {"by_class/39/hsf_1/a.png": png(40)}) + class_log(ambiguous)
    (tmp_path / "by_class_md5.log").write_text(log)
    train = open_dataset("sd19", "train", folder=tmp_path, normalize=shrink)
    assert texts(train) == ["0", "J", "9"]
    assert train.writers[0] == train.writers[1] != train.writers[2]
    assert [
        abs(bar_column(crop) - column) < 6 for crop, column in zip(train.images, (8, 24, 40), strict=True)
    ]
    test = open_dataset("sd19-by-write", "test", folder=tmp_path, normalize=shrink)
    assert texts(test) == ["0"]
    both = open_dataset("sd19", "all", folder=tmp_path, normalize=shrink)
    assert len(np.unique(both.writers)) == 3


def test_by_write_without_the_log(tmp_path):
    write_zip(tmp_path / "by_write.zip", BY_WRITE)
    with pytest.raises(AbsentError, match=r"by_class_md5\.log"):
        open_dataset("sd19", "train", folder=tmp_path, normalize=shrink)


def test_sd19_takes_what_is_there(tmp_path):
    write_zip(tmp_path / "by_class.zip", BY_CLASS)
    assert texts(open_dataset("sd19", "train", folder=tmp_path, normalize=shrink)) == ["0", "J"]
    with pytest.raises(AbsentError, match=r"by_write\.zip and by_class_md5\.log into .*gone.*--download"):
        open_dataset("sd19", "train", folder=tmp_path / "gone", normalize=shrink)


def test_the_log_in_either_spelling_of_checksum_tools():
    digest = "0123456789abcdef" * 2
    for line in (f"{digest}  ./by_class/41/hsf_0/a.png", f"MD5 (by_class/41/hsf_0/a.png) = {digest}"):
        assert read_class_log([line, "", "nonsense"]) == {bytes.fromhex(digest): class_index("A")}


def stack_file(entries, compression=2, white=0):
    """A .mis as the first edition's guide describes it; entries are ink masks, bool (h, w)."""
    height, width = entries[0].shape
    tall = np.concatenate(entries)
    bits = tall if white == 0 else ~tall
    if compression == 2:
        tiff = io.BytesIO()
        Image.fromarray(bits).save(tiff, "TIFF", compression="group4", tiffinfo={262: 1, 278: len(tall)})
        tags = TiffImagePlugin.TiffImageFile(io.BytesIO(tiff.getvalue())).tag_v2
        (offset,), (length,) = tags[273], tags[279]
        raster = tiff.getvalue()[offset : offset + length]
    else:
        raster = np.packbits(bits, axis=1).tobytes()

    def field(value, size):
        return str(value).encode().ljust(size, b"\0")

    header = field("stack", 80) + field("Mon Jan 1 1990", 26)
    for value in (width, len(tall), 1, 300, compression, len(raster), 8, 8):
        header += field(value, 8)
    header += (
        b"00" + field(0, 8) + field(white, 8) + b"0000" + field("", 80) + field(width, 8) + field(height, 8)
    )
    assert len(header) == 288
    return field(288, 8) + header + raster


def masks():
    first, second = np.zeros((128, 128), bool), np.zeros((128, 128), bool)
    first[10:50, 20:25] = True
    second[60:64, 30:100] = True
    return [first, second]


@pytest.mark.parametrize("compression", [0, 2])
@pytest.mark.parametrize("white", [0, 1])
def test_a_stack_is_read_back(compression, white):
    found = list(read_stack(stack_file(masks(), compression, white), "a.mis"))
    assert [np.array_equal(ink == 255, mask) for ink, mask in zip(found, masks(), strict=True)] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IHEAD"),
        (b"PNG" * 200, "not an IHEAD"),
        (stack_file(masks(), compression=5), "code 5 is not supported"),
        (stack_file(masks(), compression=0)[:-9], "damaged raster"),
        (stack_file(masks())[:300], "damaged raster"),
        (stack_file(masks()).replace(b"256\0", b"999\0", 1), "no multiple"),
        (stack_file(masks()).replace(b"256\0\0\0\0\0", b"99999999", 1), "sizes"),
    ],
)
def test_a_bad_stack_is_named(data, message):
    with pytest.raises(DatasetError, match=rf"bad\.mis.*{message}"):
        list(read_stack(data, "bad.mis"))


def test_a_tall_stack_is_no_bomb():
    ink = np.zeros((128, 128), bool)
    ink[5, 5] = True
    assert sum(1 for _ in read_stack(stack_file([ink] * 12_000), "tall.mis")) == 12_000


def test_classes_beside_a_stack():
    assert parse_classes("2\n30\n7a\n", "a.cls") == ["0", "z"]
    for text in ("", "3\n30\n", "1\nzz\n"):
        with pytest.raises(DatasetError, match=r"a\.cls"):
            parse_classes(text, "a.cls")


def test_first_edition_in_both_hierarchies(tmp_path):
    stack, classes = stack_file(masks()), b"2\n35\n6b\n"
    write_files(
        tmp_path,
        {
            "by_write/hsf_0/f0001_10/d0001_10.mis": stack,
            "by_write/hsf_0/f0001_10/d0001_10.cls": classes,
            "by_write/hsf_0/f0002_10/d0002_10.mis": stack,
            "by_write/hsf_0/f0002_10/d0002_10.cls": b"1\n35\n",
            "by_class/35/hsf_4.mis": stack,
            "by_class/35/hsf_4.cls": b"2\n35\n35\n",
        },
    )
    written = open_dataset("sd19", "train", folder=tmp_path, normalize=shrink)
    assert texts(written) == ["5", "k"]  # the stack whose list is too short is left out
    assert written.writers.tolist() == [0, 0]
    assert texts(open_dataset("sd19-by-class", "test", folder=tmp_path, normalize=shrink)) == ["5", "5"]


# --- folders -----------------------------------------------------------------------------------------------


def picture(ink_level, paper_level, mode="L", shape=(60, 40)):
    gray = np.full(shape, paper_level, np.uint8)
    gray[10:50, 18:23] = ink_level
    stream = io.BytesIO()
    Image.fromarray(gray).convert(mode).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (90, 200), (180, 60)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_ink_is_found_whichever_is_darker(ink, paper, mode):
    found = picture_ink(picture(ink, paper, mode), "a.png")
    expected = np.zeros((60, 40), np.uint8)
    expected[10:50, 18:23] = 255
    assert np.array_equal(found, expected)


def test_strokes_on_transparency_are_dark_on_light():
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[10:30, 18:22, 3] = 255
    stream = io.BytesIO()
    Image.fromarray(rgba).save(stream, "PNG")
    assert picture_ink(stream.getvalue(), "a.png")[20, 20] == 255


@pytest.mark.parametrize("levels", [(200, 200), (200, 210)])
def test_a_picture_without_contrast_has_no_ink(levels):
    assert not picture_ink(picture(*levels), "a.png").any()


def test_a_noisy_gray_paper_is_cleared():
    random = np.random.default_rng(0)
    gray = np.clip(random.normal(190, 8, (60, 60)), 0, 255)
    gray[15:45, 28:32] = 60
    stream = io.BytesIO()
    Image.fromarray(gray.astype(np.uint8)).save(stream, "PNG")
    found = picture_ink(stream.getvalue(), "a.png")
    assert not found[:15].any()
    assert (found[15:45, 28:32] > 200).all()


def test_a_labelled_folder(tmp_path, caplog):
    dark, light = picture(0, 255), picture(255, 0)
    write_files(
        tmp_path,
        {
            "A/one.png": dark,
            "61/deep/er/two.PNG": light,
            "7/three.png": dark,
            "37/four.png": picture(0, 250),
            "not_a_character/five.png": dark,
            "A/notes.txt": b"no picture",
            "A/broken.png": b"",
            ".git/x.png": dark,
        },
    )
    loaded = open_dataset(f"folder:{tmp_path}", "all", normalize=shrink)
    seven, a, big_a = class_index("7"), class_index("a"), class_index("A")
    assert sorted(loaded.labels.tolist()) == sorted([seven, a, seven, big_a, NOT_A_CHARACTER])
    assert len(np.unique(loaded.images, axis=0)) == 1  # dark on light and light on dark come out alike
    assert "broken.png: not a readable picture (it is empty)" in caplog.text


def test_copies_and_pictures_of_nothing_are_left_out(tmp_path, caplog):
    dark = picture(0, 255)
    files = {"7/one.png": dark, "7/two.png": dark, "1/one.png": dark, "7/blank.png": picture(255, 255)}
    write_files(tmp_path, files | {"7/text.png": b"hello", "not_a_character/blank.png": picture(255, 255)})
    loaded = open_dataset(f"folder:{tmp_path}", "all", normalize=shrink)
    assert sorted(loaded.labels) == sorted([class_index("1"), class_index("7"), NOT_A_CHARACTER])
    assert f"two.png: is a copy of {tmp_path / '7' / 'one.png'}" in caplog.text
    assert "blank.png: shows nothing" in caplog.text
    assert "text.png: not a readable picture (it begins like no picture)" in caplog.text


def deep(values, name):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, name)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("most", "kind", "name"),
    [
        (65_535, np.uint16, "PNG"),
        (4095, np.uint16, "PNG"),
        (65_535, np.uint16, "TIFF"),
        (1, float, "TIFF"),
    ],
)
def test_pictures_of_more_than_eight_bits_are_read(most, kind, name):
    gray = np.full((60, 40), most, np.float32 if kind is float else kind)
    gray[10:50, 18:23] = most / 4
    assert np.array_equal(picture_ink(deep(gray, name), "a"), picture_ink(picture(0, 255), "a"))


def test_white_strokes_on_transparency_are_ink():
    rgba = np.full((60, 40, 4), 255, np.uint8)
    rgba[:, :, 3] = 0
    rgba[10:50, 18:23, 3] = 255
    assert np.array_equal(picture_ink(deep(rgba, "PNG"), "a"), picture_ink(picture(0, 255), "a"))


@pytest.mark.parametrize("name", ["10", "cat", "4A1", "é", "7f"])
def test_a_folder_that_names_no_class(tmp_path, name):
    write_files(tmp_path, {f"{name}/a.png": picture(0, 255)})
    with pytest.raises(DatasetError, match=rf"{name}: names no class; use"):
        open_dataset(f"folder:{tmp_path}", "all", normalize=shrink)


def test_splits_of_a_folder(tmp_path):
    write_files(tmp_path, {"train/a/1.png": picture(0, 255), "test/b/1.png": picture(0, 255)})
    name = f"folder:{tmp_path}"
    assert available_splits(name) == ("train", "test", "all")
    assert texts(open_dataset(name, "test", normalize=shrink)) == ["b"]
    assert texts(open_dataset(name, "all", normalize=shrink)) == ["a", "b"]
    undivided = f"folder:{tmp_path / 'train'}"
    assert available_splits(undivided) == ("all",)
    assert texts(open_dataset(undivided, "train", normalize=shrink)) == ["a"]
    with pytest.raises(DatasetError, match="without a test split"):
        open_dataset(undivided, "test", normalize=shrink)


def test_folders_that_are_absent_or_empty(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset(f"folder:{tmp_path / 'gone'}", "all", normalize=shrink)
    with pytest.raises(DatasetError, match="no readable picture"):
        open_dataset(f"folder:{tmp_path}", "all", normalize=shrink)


def test_a_folder_of_npz_sets(tmp_path):
    def save(name, text, writer):
        images = np.zeros((1, 28, 28), np.uint8)
        np.savez(tmp_path / name, images=images, labels=np.array([text]), writer_index=np.array([writer]))

    save("own_train.npz", "a", 3)
    save("own_val.npz", "b", 3)
    save("pens.npz", "c", 3)
    save("pens_strokes.npz", "d", 3)
    whole = open_dataset(f"npz:{tmp_path}", "all", normalize=shrink)
    assert texts(whole) == ["a", "b", "c"]
    assert whole.writers[0] == whole.writers[1] != whole.writers[2]
    assert texts(open_dataset(f"npz:{tmp_path}", "train", normalize=shrink)) == ["a", "c"]
    assert texts(open_dataset(f"npz:{tmp_path}", "test", normalize=shrink)) == ["b"]
    assert texts(open_dataset(f"npz:{tmp_path / 'pens.npz'}", "all", normalize=shrink)) == ["c"]


# --- names -------------------------------------------------------------------------------------------------


def test_absent_data_says_what_where_and_how(tmp_path, monkeypatch):
    monkeypatch.setenv("FORMSCRIBE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(AbsentError) as caught:
        open_dataset("emnist-balanced", "train", normalize=shrink)
    message = str(caught.value)
    for part in (
        "emnist-balanced-train-images",
        str(tmp_path / "cache" / "emnist"),
        "gzip.zip",
        "--download",
    ):
        assert part in message
    assert not (tmp_path / "cache").exists()


def test_unknown_names_list_the_known(tmp_path):
    with pytest.raises(DatasetError, match=r"'mnits' is no data set.*mnist.*folder:PATH"):
        open_dataset("mnits", "train", normalize=shrink)
    with pytest.raises(DatasetError, match=r"'valid' is no split; use one of train, test, all"):
        open_dataset("mnist", "valid", normalize=shrink)


def test_a_download_is_made_only_on_request_and_only_if_absent(tmp_path, monkeypatch):
    fetched = []

    def pretend(file: RemoteFile, folder, progress):
        fetched.append(file.name)
        write_mnist(folder)

    monkeypatch.setattr(catalogue, "fetch", pretend)
    folder = tmp_path / "mine"
    assert len(open_dataset("mnist", "test", folder=folder, normalize=shrink, download=True)) == 1
    assert len(fetched) == 4
    open_dataset("mnist", "train", folder=folder, normalize=shrink, download=True)
    assert len(fetched) == 4


def test_the_catalogue_is_complete():
    text = describe_datasets()
    for name, info in DATASETS.items():
        assert name in text
        assert info.description
        assert info.licence
        assert info.source
        assert available_splits(name) == ("train", "test", "all")
        assert all(file.url.startswith("https://") and (file.sha256 or file.md5) for file in info.files)
    assert {f"emnist-{variant}" for variant in EMNIST_CHARACTERS} | {"mnist", "sd19"} <= DATASETS.keys()
