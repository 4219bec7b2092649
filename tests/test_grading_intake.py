"""What is handed in: every name and every content is one row, and no harm."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from handing_in import CORPUS, code_cell, handed_in, template, trusted, write

from course_lib.grading import intake, submission
from course_lib.grading.intake import LARGEST, Submission, learner_of, take_in
from course_lib.grading.one import notebook_of
from course_lib.grading.submission import AnswerCell, find_answer, is_attempted, read_cells
from course_lib.support.errors import CourseError

COURSE = ["01_one_image_a_million_crops", "02_rotnet"]
SOME = b'{"cells": []}'


def taken(*paths: Path) -> list[Submission]:
    return list(take_in(paths, COURSE))


@pytest.mark.parametrize(
    ("path", "container", "learner"),
    [
        ("ada.ipynb", "class", "ada"),
        ("02_rotnet.ipynb", "ada", "ada"),
        ("ada/02_rotnet.ipynb", "class", "ada"),
        ("ada/02_rotnet (1).ipynb", "class", "ada"),
        ("one/ada.ipynb", "class", "one/ada"),
        ("ada_02_rotnet.ipynb", "class", "ada_02_rotnet"),
    ],
)
def test_whose_a_file_is(path: str, container: str, learner: str) -> None:
    assert learner_of(PurePosixPath(path), container, COURSE) == learner


def test_names_of_all_kinds(tmp_path: Path) -> None:
    names = [
        "{0}",
        "{name}",
        "o'brien",
        'a"b',
        "a  b",
        "a\nb",
        "李雷",
        "=1+1",
        "<b>",
        "%s",
        "-rf",
        os.fsdecode(b"\xff\xfe"),
    ]
    write(tmp_path, {f"{name}.ipynb": SOME for name in names})
    assert sorted(one.learner for one in taken(tmp_path)) == sorted(names)
    assert all(one.content == SOME and not one.problem for one in taken(tmp_path))


def test_everything_odd_is_a_row_with_a_reason(tmp_path: Path) -> None:
    write(tmp_path, {"ada.ipynb": SOME, "none.ipynb": b"", "script.py": b"print()", "bob/essay.pdf": b"%PDF"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "ada.ipynb")
    (tmp_path / "folder").symlink_to(tmp_path / "bob")
    os.mkfifo(tmp_path / "pipe.ipynb")
    with (tmp_path / "large.ipynb").open("wb") as file:
        file.truncate(52_000_000)
    (tmp_path / "dir.ipynb").mkdir()
    problems = {one.learner: one.problem for one in taken(tmp_path)}
    assert problems.pop("ada") == ""
    assert {name: words.split(":")[0] for name, words in problems.items()} == {
        "bob/essay": "It is a .pdf file, and a notebook (.ipynb) is expected.",
        "empty": "It holds no notebook.",
        "folder": "It is a symbolic link, and not a file.",
        "dir": "It holds no notebook.",
        "large": "It has 52 MB, and 20 are allowed",
        "link": "It is a symbolic link, and not a file.",
        "none": "It is empty.",
        "pipe": "It is no regular file.",
        "script": "It is a .py file, and a notebook (.ipynb) is expected.",
    }


def test_an_empty_folder_and_a_name_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    rows = taken(tmp_path / "class", tmp_path / "gone.ipynb")
    assert [one.problem for one in rows] == ["It holds no notebook.", "There is no such file."]


def test_what_programs_leave_behind_is_no_row(tmp_path: Path) -> None:
    write(
        tmp_path, {"ada/02_rotnet.ipynb": SOME, "ada/notes.txt": b"x", "ada/.ipynb_checkpoints/02_rotnet.ipynb": SOME}
    )
    write(tmp_path, {".DS_Store": b"x", "__MACOSX/ada.ipynb": SOME})
    assert [one.learner for one in taken(tmp_path)] == ["ada"]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_zips_of_one_learner_and_of_many(tmp_path: Path) -> None:
    one = zipped(tmp_path / "ada.zip", {"02_rotnet.ipynb": SOME, "01_one_image_a_million_crops.ipynb": SOME})
    many = zipped(tmp_path / "class.zip", {"bob/02_rotnet.ipynb": SOME, "eve.ipynb": SOME})
    assert [row.learner for row in taken(one, many)] == ["ada", "ada", "bob", "eve"]
    inner = tmp_path / "inbox"
    inner.mkdir()
    zipped(inner / "carl.zip", {"02_rotnet.ipynb": SOME})
    assert [row.learner for row in taken(inner)] == ["carl"]


def test_a_zip_in_a_folder_speaks_for_nobody_else(tmp_path: Path) -> None:
    zipped(tmp_path / "eve.zip", {"ada.ipynb": SOME, "bob/02_rotnet.ipynb": SOME})
    write(tmp_path, {"ada.ipynb": SOME})
    assert sorted(row.learner for row in taken(tmp_path)) == ["ada", "eve/ada", "eve/bob"]


def test_one_who_hands_in_too_much_takes_nobody_elses_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_MOST", 8)
    monkeypatch.setattr(intake, "_MOST_OF_ONE", 3)
    monkeypatch.setattr(intake, "_ALL_OF_ONE", 2 * len(SOME))
    files = {"ada/02_rotnet.ipynb": SOME, "zoe/02_rotnet.ipynb": SOME}
    files |= {f"eve/02_rotnet ({i}).ipynb": SOME for i in range(5)} | {f"eve/venv/{i}.py": b"" for i in range(50)}
    folder, whole = write(tmp_path / "inbox", files), zipped(tmp_path / "class.zip", files)
    for path, eve in ((folder, ["", "", "", "More than 3"]), (whole, ["", "", "All of this", "More than 3"])):
        rows = taken(path)
        assert [row.learner for row in rows if not row.learner.startswith("eve")] == ["ada", "zoe"]
        assert all(row.content and not row.problem for row in rows if row.learner in ("ada", "zoe"))
        said = [row.problem for row in rows if row.learner == "eve"]
        assert len(said) == 4 and all(words in one and bool(words) == bool(one) for words, one in zip(eve, said))


def test_what_the_instructor_names_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, {"real/ada.ipynb": SOME, "bob.ipynb": SOME})
    (tmp_path / "inbox").symlink_to(tmp_path / "real")
    (tmp_path / "other.ipynb").symlink_to(tmp_path / "bob.ipynb")
    rows = taken(tmp_path / "inbox", tmp_path / "other.ipynb")
    assert [(row.learner, row.problem) for row in rows] == [("ada", ""), ("other", "")]


def test_a_zip_writes_nothing_wherever_it_points(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = zipped(folder / "x.zip", {"../../evil.ipynb": SOME, "/etc/evil2.ipynb": SOME, "..\\evil3.ipynb": SOME})
    assert [row.problem for row in taken(path)] == ["", "", ""]
    assert [*tmp_path.rglob("*evil*")] == [] and [path.name for path in tmp_path.iterdir()] == ["inner"]


def test_zips_that_are_bombs_or_broken(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {"a.ipynb": bytes(60_000_000), "inner.zip": b"PK", "b.ipynb": SOME})
    rows = {row.learner: row for row in taken(bomb)}
    assert rows["a"].problem.startswith("It has 60 MB") and rows["inner"].problem.startswith("It is a zip in a zip")
    assert not rows["b"].problem
    link = zipfile.ZipInfo("c.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "symbolic link" in taken(tmp_path / "link.zip")[0].problem
    (tmp_path / "broken.zip").write_bytes(bomb.read_bytes()[:100])
    assert taken(tmp_path / "broken.zip")[0].problem.startswith("It is no zip that can be read")


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    path = zipped(tmp_path / "lie.zip", {"a.ipynb": bytes(30_000_000)})
    true, lie = (30_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, lie))
    (row,) = taken(path)
    assert row.problem and len(row.content) <= LARGEST


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not valid JSON"),
        (b"\x00" + SOME, "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "JSON, but of something else"),
        (b'{"cells": 3}', "it has no cells"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
def test_what_is_no_notebook(content: bytes, words: str) -> None:
    with pytest.raises(CourseError, match=words):
        read_cells(content)


def test_cells_of_odd_shapes() -> None:
    cells = [
        {"cell_type": "code", "source": ["a\n", 3, "b"]},
        7,
        {"cell_type": "code", "source": "\ud800"},
        {"cell_type": []},
    ]
    assert [cell.source for cell in read_cells(json.dumps({"cells": cells}).encode())] == ["a\nb", "?"]


def test_a_notebook_of_format_3() -> None:
    cells = [{"cell_type": "code", "input": source, "outputs": []} for source in CORPUS.RIGHT.values()]
    old = {"nbformat": 3, "worksheets": [{"cells": cells}], "metadata": {}}
    found = read_cells(json.dumps(old).encode())
    assert notebook_of(found).name == CORPUS.NOTEBOOK
    assert [find_answer(found, exercise).attempted for exercise in trusted().exercises] == [True] * 4


BOX = trusted().exercises[1]


def answer_in(*sources: str, ids: tuple[str, ...] = ()) -> object:
    cells = [code_cell(source, id=ids[i] if ids else f"c{i}") for i, source in enumerate(sources)]
    return find_answer(read_cells(json.dumps({"cells": cells}).encode()), BOX)


def test_the_stub_is_no_attempt() -> None:
    assert not answer_in(BOX.source).attempted and answer_in(BOX.source).source == BOX.source
    assert answer_in("x = 1").source == ""


def test_of_several_cells_the_last_attempt_counts() -> None:
    right = CORPUS.RIGHT[BOX.key]
    found = answer_in("bounding_box = 3\n" + right, right, BOX.source)
    assert found.source == right and "2 cells answer it" in found.note


def test_an_answer_is_found_by_its_key_its_id_or_its_name() -> None:
    body = "def bounding_box(w, h, a):\n    return w, h"
    assert answer_in(body + "\nbounding_box = check( '01.box', bounding_box)").attempted
    assert answer_in("1 +", body, ids=("a", BOX.id)).source == body
    split = answer_in(body, 'bounding_box = check("01.box", bounding_box)')
    assert split.source == body and split.attempted
    assert answer_in("%%time\n" + body, ids=(BOX.id,)).attempted, "a magic is an attempt"


def test_asking_again_takes_nothing_away() -> None:
    right = CORPUS.RIGHT[BOX.key]
    again = 'check("01.box", bounding_box)', 'print(3)  # check("01.box", ...) said right', 'x = 1\ncheck("01.box", f)'
    assert answer_in(right, *again).source == right
    body = right.partition("bounding_box = check")[0]
    assert answer_in(body, 'bounding_box = check("01.box", bounding_box)\nprint(bounding_box)').source == body


def test_thousands_of_cells_are_not_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(submission, "is_attempted", lambda source, _: read.append(source) or is_attempted(source, BOX))
    right = CORPUS.RIGHT[BOX.key]
    assert answer_in(right, *[f'# check("01.box"\n{i};' for i in range(500)]).source == right
    assert len(read) < 50


def test_too_long_an_answer_is_none() -> None:
    found = answer_in(CORPUS.RIGHT[BOX.key] + "#" * 200_000)
    assert not found.attempted and "200," in found.note


def test_white_space_without_end_is_read_at_once() -> None:
    assert not answer_in("\n" * 3_000_000 + " " * 3_000_000, "bounding_box" + " " * 3_000_000).attempted


@pytest.mark.parametrize(
    "line", ["x = 1", "import os; os._exit(0)", "from course_lib.data.crops import bounding_box", "def"]
)
def test_what_is_an_attempt(line: str) -> None:
    assert is_attempted(f"{BOX.source}\n{line}", BOX)


@pytest.mark.parametrize("line", ["", "import os", '"words"', "pass"])
def test_what_is_none(line: str) -> None:
    assert not is_attempted(f"{BOX.source}\n{line}", BOX)


def test_deep_code_is_an_attempt_and_no_crash() -> None:
    assert is_attempted("(" * 150 + ")" * 150, AnswerCell("k", "f", "i", "f = 1"))
    assert is_attempted("-" * 90_000 + "1", AnswerCell("k", "f", "i", "f = 1"))


def test_a_notebook_is_known_by_its_content() -> None:
    assert notebook_of(read_cells(handed_in({}, "02"))).name == "02_rotnet"
    without = template("02")
    without["cells"] = [cell for cell in without["cells"] if "exercise" not in cell["metadata"].get("tags", [])]
    with pytest.raises(CourseError, match="no answer cell of any"):
        notebook_of(read_cells(json.dumps(without).encode()))
