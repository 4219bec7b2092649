"""Everything of the grading but the sandbox: assembling, judging, records, the views, the release.

Where a whole grading is needed, the answers run in this process: they are the tests' own.
"""

from __future__ import annotations

import ast
import base64
import csv
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from conftest import ROOT
from handing_in import CORPUS, code_cell, handed_in, template, trusted, write

from course_lib.__main__ import main
from course_lib.exercises import find_exercise, find_exercises
from course_lib.exercises.asking import ask
from course_lib.exercises.plain import decode, encode
from course_lib.grading import batch, one, records, runner
from course_lib.grading.batch import grade
from course_lib.grading.judging import results_of
from course_lib.grading.library import copy_library, stubbed
from course_lib.grading.pictures import pictures_of
from course_lib.grading.records import Rules
from course_lib.grading.release import release
from course_lib.grading.reports import page_name
from course_lib.grading.runner import Replies, read_claim
from course_lib.grading.submission import Answer
from course_lib.grading.trusted import assemble, needed_imports, trusted_notebooks, without_magics
from course_lib.support.errors import CourseError
from course_lib.support.notebooks import find_notebooks

BOX = "01.box"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and pixels").decode()


# Assembling


def test_every_notebook_with_exercises_is_read() -> None:
    keys = [exercise.key for notebook in trusted_notebooks() for exercise in notebook.exercises]
    assert keys and len(set(keys)) == len(keys) and set(keys) <= set(find_exercises())
    assert len(trusted_notebooks()) == len(find_notebooks())


def test_only_answers_are_taken() -> None:
    made = assemble(trusted(), CORPUS.RIGHT, dict.fromkeys(CORPUS.RIGHT, ""), Path("/input"), Path("/scratch"))
    sources = [cell["source"] for cell in made["cells"]]
    assert [source for source in sources if source in CORPUS.RIGHT.values()] == [
        CORPUS.RIGHT[e.key] for e in trusted().exercises
    ]
    assert len(sources) == 1 + 2 * len(CORPUS.RIGHT) and made["metadata"]["kernelspec"]["name"] == "python3"
    assert all(set(cell["metadata"]) == {"exercise", "part"} for cell in made["cells"])
    assert "'/input/01.box.json', '/scratch/01.box.json'" in sources[4]


def test_only_imports_that_an_answer_mentions_are_kept() -> None:
    assert [*needed_imports(trusted(), ["Tensor"])] == ["from torch import Tensor"]
    assert "import torch" not in needed_imports(trusted("02"), ["F"])
    assert "import torch.nn.functional as F" in needed_imports(trusted("02"), ["F"])
    assert ast.parse(without_magics("if True:\n    %pip install x\n!ls\n%%time\nx = 1"))


# The library that the sandbox has


def test_no_answer_and_no_check_is_in_the_sandboxes_library(tmp_path: Path) -> None:
    known = find_exercises()
    copy_library(tmp_path, [exercise.answer for exercise in known.values()])
    inner = {path.name for path in (tmp_path / "course_lib/exercises").iterdir()}
    assert inner == {"__init__.py", "asking.py", "plain.py"}
    assert not {"grading", "bench", "assets"} & {path.name for path in (tmp_path / "course_lib").iterdir()}
    names = {key: [e.answer.__module__, e.answer.__qualname__] for key, e in known.items()}
    code = (
        "import importlib, json, sys\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'ditable' not in repr(finder)]  # of pip install -e\n"
        "import course_lib\n"
        "assert course_lib.__file__.startswith(sys.argv[1])\n"
        "for line in json.loads(sys.argv[3]): exec(line)\n"
        "from course_lib.exercises import NotYours, hint, check\n"
        "assert hint('01.box') is None and check('01.box', 3) == 3\n"
        "import inspect\n"
        "for key, (module, name) in json.loads(sys.argv[2]).items():\n"
        "    function = getattr(importlib.import_module(module), name)\n"
        "    try: function(*[None] * len(inspect.signature(function).parameters))\n"
        "    except NotYours: print(key)\n"
    )
    words = re.findall(r"\w+", "".join(path.read_text(encoding="utf-8") for path in find_notebooks()))
    lines = [line for notebook in trusted_notebooks() for line in needed_imports(notebook, words)]
    command = [sys.executable, "-c", code, str(tmp_path), json.dumps(names), json.dumps(lines)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert sorted(done.stdout.split()) == sorted(known), done.stderr[-2000:]


def test_a_stub_keeps_name_and_docstring_alone() -> None:
    source = 'class A:\n    def f(self, x):\n        """Words."""\n        return x + 1\n\ndef g(): return 2\n'
    made = stubbed(source, "A.f")
    assert '"""Words."""' in made and "x + 1" not in made and "return 2" in made and "raise NotYours" in made
    with pytest.raises(ValueError, match="no function h"):
        stubbed("def g(): pass", "h")


# Judging


def result(value: Any, error: str = "", answer: Answer | None = None) -> Any:
    questions = {BOX: find_exercise(BOX).questions(5)}
    replies = Replies({BOX: value} if value is not None else {}, {BOX: error}, {BOX: "it ended the kernel"})
    return results_of({BOX: answer or Answer("x", True)}, questions, replies)[0]


def test_a_right_reply_is_worth_a_point() -> None:
    exercise = find_exercise(BOX)
    found = result(encode(ask(exercise.answer, exercise.questions(5))))
    assert (found["verdict"], found["points"]) == ("right", 1)


@pytest.mark.parametrize("value", [{}, [], "right", 1, {"points": 4}, [True, True], {"kind": "x"}, [{"kind": "other"}]])
def test_a_reply_of_another_kind_is_worth_none(value: Any) -> None:
    assert result(value)["verdict"] == "wrong" and result(value)["words"]


def test_why_there_is_no_point() -> None:
    raised = [{"kind": "raised", "name": name, "message": "x"} for name in ("NotYours", "NotDefined", "NameError")]
    assert "own function is no answer" in result([raised[0]] * 2)["words"]
    assert result([raised[1]] * 2, "SyntaxError: here")["words"] == "The cell raised SyntaxError: here."
    assert "Only answer cells are run" in result([raised[2]] * 2)["words"]
    assert result(None)["words"] == "It was stopped: it ended the kernel."
    assert result(None, answer=Answer("", False))["verdict"] == "missing"
    assert result(None, answer=Answer("x", False))["verdict"] == "not attempted"


def test_a_claim_is_a_small_file_of_json_or_nothing(tmp_path: Path) -> None:
    good, big = tmp_path / "good", tmp_path / "big"
    good.write_text("[1]")
    big.write_text("[" + "1," * 1000 + "1]")
    (tmp_path / "link").symlink_to(good)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "deep").write_text("[" * 50_000)
    (tmp_path / "pickle").write_bytes(b"\x80\x04.")
    (tmp_path / "many").write_text("[" + "[]," * 1_000_000 + "1]")
    assert read_claim(good, 100) == [1] and read_claim(tmp_path / "many", 10_000_000) is None
    for name in ("big", "link", "pipe", "folder", "deep", "pickle", "none"):
        assert read_claim(tmp_path / name, 1000) is None, name


# Records


def test_the_secret_is_kept_and_closed(tmp_path: Path) -> None:
    secret = records.secret_of(tmp_path)
    assert records.secret_of(tmp_path) == secret and len(secret) == 32
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    with pytest.raises(CourseError, match="holds another secret"):
        records.secret_of(tmp_path, "mine")
    assert records.secret_of(tmp_path / "new", "mine") == "mine"


def test_questions_hang_on_secret_submission_and_exercise() -> None:
    seeds = {records.seed_of(*words) for words in (("a", "s"), ("b", "s"), ("a", "t"), ("a", "s", "k"))}
    assert len(seeds) == 4 and records.seed_of("a", "s") == records.seed_of("a", "s")


def test_a_record_hangs_on_all_that_decides_it(tmp_path: Path) -> None:
    places = {records.record_path(tmp_path, "s", Rules(), "a")}
    places |= {records.record_path(tmp_path, *given) for given in (("t", Rules(), "a"), ("s", Rules("limits"), "a"))}
    places |= {records.record_path(tmp_path, *given) for given in (("s", Rules(cell=1), "a"), ("s", Rules(), "b"))}
    assert len(places) == 5


# Pictures


def test_pictures_keep_their_words_and_nothing_else_is_kept() -> None:
    page = f'<figure><img alt="A &lt;b&gt;" src="data:image/png;base64,{PNG}"><script>x</script></figure>'
    page += '<img src="http://example.org/x.png"><img src="data:image/svg+xml;base64,AAAA">'
    page += '<img src="data:image/png;base64,AAAA">'
    plain = {"data": {"image/png": PNG + "\n"}, "metadata": {"image/png": {"alt": "two"}}}
    odd = [{"data": 3}, 7, {"data": {"image/png": 3}}, {"data": {"image/png": PNG}, "metadata": []}, {}]
    found = pictures_of([{"data": {"text/html": [page]}}, plain, *odd])
    assert [picture["alt"] for picture in found] == ["A <b>", "two", ""]
    assert all(picture["png"] == PNG for picture in found)
    broken = {"data": {"text/html": f'<img alt="a" src="data:image/png;base64,{PNG}"><![x[a]]><img>'}}
    assert [picture["alt"] for picture in pictures_of([broken, plain])] == ["a", "two"]


# The views


def asked_here(
    _: object, answers: Mapping[str, str], questions: Mapping[str, Any], known: Mapping[str, Any], *__: object
) -> Replies:
    """In the sandbox's place: the answers run in this process."""
    replies = Replies()
    for key, source in answers.items():
        space: dict[str, Any] = {"check": lambda _, function: function, "torch": torch, "Tensor": torch.Tensor}
        exec(source, space)
        name = next(e.name for notebook in trusted_notebooks() for e in notebook.exercises if e.key == key)
        replies.values[key] = encode(ask(space[name], decode(encode(questions[key])), known[key].setting))
    return replies


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grading without a sandbox and without processes; gives the submissions that were graded."""
    graded: list[str] = []

    def grade_here(folder: str, submission: str, rules: Rules) -> dict[str, Any]:
        graded.append(submission)
        return one.grade_here(Path(folder), submission, rules)

    monkeypatch.setattr(runner, "collect_replies", asked_here)
    monkeypatch.setattr(batch, "grade_apart", grade_here)
    monkeypatch.setattr(batch, "require_level", lambda _: None)
    return graded


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "grades.csv").open(newline="", encoding="utf-8") as file:
        return {row["learner"]: row for row in csv.DictReader(file)}


TURNS = "import torch\ndef four_turns(x):\n    return torch.cat([torch.rot90(x, k, (2, 3)) for k in range(4)])\n"


def test_a_class_is_a_table_a_page_each_and_a_summary(tmp_path: Path, here: list[str]) -> None:
    swapped = CORPUS.RIGHT[BOX].replace("return ", "return (").replace("c * height\n", "c * height)[::-1]\n")
    wrong = CORPUS.RIGHT | {BOX: swapped}
    files = {"ada/01_one_image_a_million_crops.ipynb": handed_in(CORPUS.RIGHT), "bob.ipynb": handed_in(wrong)}
    files |= {"eve.ipynb": handed_in(wrong | {"01.size": "def crop_size(a, r): return None"}), "mia.ipynb": b"{"}
    files |= {"ada/02_rotnet.ipynb": handed_in({"02.turns": TURNS}, "02"), "zoe.ipynb": template_bytes()}
    grade([write(tmp_path / "inbox", files)], tmp_path / "out", Rules(), say=lambda _: None)
    found = rows(tmp_path / "out")
    assert [*found] == ["ada", "bob", "eve", "mia", "zoe"]
    assert found["ada"]["02.turns"] == "1" and found["ada"]["total"] == "5"
    assert (found["bob"]["01.box"], found["bob"]["total"], found["bob"]["02.turns"]) == ("0", "3", "")
    assert found["mia"]["status"] == "not graded" and "not valid JSON" in found["mia"]["reason"]
    assert found["zoe"]["total"] == "0" and found["zoe"]["status"] == "graded"
    assert all(row["sandbox"] == "bubblewrap" for row in found.values())
    page = (tmp_path / "out/index.html").read_text()
    assert "2 x: Your box&#39;s width and height are swapped." in page
    assert "02.turns" in (tmp_path / "out/feedback/ada.html").read_text()
    assert "not attempted" in (tmp_path / "out/feedback/zoe.html").read_text()


def template_bytes() -> bytes:
    return json.dumps(template()).encode()


def test_a_second_run_grades_nothing_and_writes_the_same_bytes(tmp_path: Path, here: list[str]) -> None:
    inbox = write(tmp_path / "inbox", {"ada.ipynb": handed_in(CORPUS.RIGHT), "bob.ipynb": handed_in(CORPUS.RIGHT)})
    contents = []
    for _ in range(2):
        grade([inbox], tmp_path / "out", Rules(), say=lambda _: None)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()})
    assert len(set(here)) == 1 and contents[0] == contents[1]
    (record,) = (tmp_path / "out/records").iterdir()
    time_ns = record.stat().st_mtime_ns
    grade([inbox], tmp_path / "out", Rules(), say=lambda _: None)
    assert record.stat().st_mtime_ns == time_ns
    record.write_text("{")
    grade([inbox], tmp_path / "out", Rules(), say=lambda _: None)
    assert rows(tmp_path / "out")["ada"]["total"] == "4"


def test_one_that_cannot_be_graded_stops_no_other(
    tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grade_one = batch.grade_apart

    def fails(folder: str, submission: str, rules: Rules) -> dict[str, Any]:
        if len(here) == 0:
            here.append("failed")
            raise CourseError("the sandbox did not start: no memory")
        return grade_one(folder, submission, rules)

    monkeypatch.setattr(batch, "grade_apart", fails)
    inbox = write(tmp_path / "inbox", {"ada.ipynb": handed_in(CORPUS.RIGHT), "bob.ipynb": handed_in({})})
    grade([inbox], tmp_path / "out", Rules(), say=lambda _: None)
    assert rows(tmp_path / "out")["ada"]["reason"] == "It could not be graded: the sandbox did not start: no memory"
    assert rows(tmp_path / "out")["bob"]["status"] == "graded"
    grade([inbox], tmp_path / "out", Rules(), say=lambda _: None)
    assert rows(tmp_path / "out")["ada"]["total"] == "4", "what failed for want of something is tried again"


def test_whatever_a_learner_writes_is_text_on_the_page(tmp_path: Path, here: list[str]) -> None:
    markup = "</code></pre><script>alert(1)</script>{{ 7 * 7 }}"
    answers = CORPUS.RIGHT | {BOX: f"# {markup}\ndef bounding_box(w, h, a): raise ValueError({markup!r})"}
    notebook = json.loads(handed_in(answers))
    picture = f'<img alt="&lt;i&gt;" src="data:image/png;base64,{PNG}">'
    notebook["cells"].append(code_cell("1", outputs=[{"data": {"text/html": picture}}]))
    name = "<script>alert(2)</script>".replace("/", "_")
    inbox = write(tmp_path / "inbox", {f"{name}.ipynb": json.dumps(notebook).encode(), "=1+1.ipynb": b"{"})
    grade([inbox], tmp_path / "out", Rules(), say=lambda _: None)
    pages = [path.read_text() for path in (tmp_path / "out").rglob("*.html")]
    assert len(pages) == 3 and not any("<script" in page for page in pages)
    assert any("&lt;script&gt;alert(1)" in page and "{{ 7 * 7 }}" in page for page in pages)
    assert any(picture in page for page in pages)
    assert {*rows(tmp_path / "out")} == {name, "'=1+1"}


def test_no_name_ends_a_grading_or_talks_to_a_terminal(tmp_path: Path, here: list[str]) -> None:
    name, said = os.fsdecode(b"\xff\x1b]0;owned\x07"), []
    files = {f"{name}/01_one_image_a_million_crops.ipynb": b"{", f"{name}/02_rotnet.ipynb": b"{"}
    inbox = write(tmp_path / "inbox", files | {"a;=cmd.ipynb": b"{", "＝1.ipynb": b"{", "zoe.ipynb": b"{"})
    grade([inbox], tmp_path / "out", Rules(), say=said.append)
    assert len(said) == 5 and all(line.isprintable() and line.encode() for line in said)
    text = (tmp_path / "out/grades.csv").read_text(encoding="utf-8")
    assert '"a;=cmd"' in text and '"\'＝1"' in text and len(rows(tmp_path / "out")) == 4


def test_what_is_written_is_not_taken_in_again(tmp_path: Path, here: list[str]) -> None:
    inbox = write(tmp_path / "inbox", {"ada.ipynb": b"{"})
    for out in (inbox, inbox / "grades", inbox / "a/b"):
        with pytest.raises(CourseError, match="and would be graded with it; choose another --out"):
            grade([inbox], out, Rules(), say=lambda _: None)
    assert [path.name for path in inbox.iterdir()] == ["ada.ipynb"]


def test_nobody_has_anothers_page() -> None:
    other = page_name("ada lovelace").removesuffix(".html")
    assert page_name(other) != f"{other}.html" and page_name("ada-lovelace") == "ada-lovelace.html"


def test_pages_have_names_that_no_system_minds() -> None:
    names = ["ada", "Ada", "../../x", "a\nb", "李雷", "{0}", "x" * 300, "", os.fsdecode(b"\xff"), "con\\.."]
    pages = [page_name(name) for name in names]
    assert pages[0] == "ada.html" and len(set(pages)) == len(names)
    for page in pages:
        assert len(page.encode()) < 200 and not set(page) & set('/\\\n{}:"<>|?*') and not page.startswith((".", "-"))


# Release and the commands


def test_a_release_is_what_learners_need(tmp_path: Path) -> None:
    folder = release(tmp_path / "given")
    names = [path.name for path in find_notebooks()]
    assert sorted(path.name for path in (folder / "notebooks").glob("[0-9]*.ipynb")) == names
    assert not (folder / "tests").exists()
    text = (folder / "README.md").read_text()
    assert all(f"notebooks/{name}" in text for name in names) and "NOTEBOOKS" not in text
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "course_lib", "lint"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "nothing to mend" in done.stdout, done.stdout + done.stderr
    with pytest.raises(CourseError, match="is not empty"):
        release(folder)


def test_an_answer_is_never_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solved = tmp_path / "01_one_image_a_million_crops.ipynb"
    solved.write_bytes(handed_in({BOX: CORPUS.RIGHT[BOX]}))
    monkeypatch.setattr("course_lib.grading.release.find_notebooks", lambda: [solved])
    with pytest.raises(CourseError, match="has an answer to 01.box in it"):
        release(tmp_path / "given")
    assert not (tmp_path / "given").exists()


def test_the_commands_say_what_they_take(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["grade"])
    assert said.exit_code == 2 and "grade inbox/ --out grades/" in said.output
    said = CliRunner().invoke(main, ["grade", str(tmp_path), "--out", str(tmp_path / "out"), "--sandbox", "none"])
    assert said.exit_code == 2 and "--sandbox takes" in said.output


def test_a_self_test_without_its_corpus_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("course_lib.__file__", str(tmp_path / "course_lib/__init__.py"))
    said = CliRunner().invoke(main, ["grade", "--self-test"])
    assert said.exit_code == 2 and "run from a clone" in said.output


def test_there_are_attacks_enough() -> None:
    names = [attack.name for attack in CORPUS.attacks(CORPUS.Place(ROOT, ROOT, 1))]
    assert len(set(names)) == len(names) >= 25
