"""What is shipped: requirements, the wheel, Binder's image, Colab's set-up cell, the READMEs."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, missing

from course_lib.authoring import headers
from course_lib.authoring.headers import find_pages
from course_lib.evidence.results import load_reference
from course_lib.support.notebooks import find_notebooks

METHODS = ("random", "supervised", "rotnet", "deepcluster", "bigan", "jigsaw", "pirl")
"""That the README's picture shows."""


def requirements(path: Path) -> dict[str, str]:
    """Package names, in lower case, with what follows them."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return dict(re.match(r"([\w-]+)(.*)", line.lower()).groups() for line in lines if line and line[0].isalnum())


def test_every_requirement_says_who_needs_it() -> None:
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert not line or line.startswith("#") or re.search(r"\S +# \S", line), line


def test_requirements_are_met_by_what_colab_has() -> None:
    """As listed by Colab on 19 August 2026: nothing that it has may be asked for in a newer version."""
    colab = {"torch": "2.11", "torchvision": "0.26", "numpy": "2.1", "matplotlib": "3.10", "pandas": "2.2"}
    colab |= {"scikit-learn": "1.6", "tqdm": "4.67", "ipykernel": "6.17.1", "ipywidgets": "7.7.1"}
    for name, has in colab.items():
        least = re.fullmatch(r">=([\d.]+)(,<\d+)?\s*", requirements(ROOT / "requirements.txt")[name])
        assert least, f"{name} must have a lower bound only"
        assert [int(n) for n in least[1].split(".")] <= [int(n) for n in has.split(".")], name


def test_binder_pins_everything_the_course_needs() -> None:
    pins = requirements(ROOT / "binder/requirements.txt")
    assert set(requirements(ROOT / "requirements.txt")) <= set(pins)
    assert all(re.fullmatch(r"==[\w.+]+", pin) for pin in pins.values())
    assert pins["torch"].endswith("+cpu") and pins["torchvision"].endswith("+cpu")


def test_binder_builds_what_we_mean() -> None:
    """repo2docker prints its Dockerfile without needing Docker."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    printed = run.stdout + run.stderr
    assert run.returncode == 0, printed[-2000:]
    assert "postBuild" in printed and "binder/requirements.txt" in printed
    assert "conda environment for python=3.11" in printed, "the Python of runtime.txt"


def test_post_build_stops_at_an_error() -> None:
    script = ROOT / "binder/postBuild"
    assert "set -e" in script.read_text() and script.stat().st_mode & 0o100


def test_binders_start_hands_over_to_the_server() -> None:
    script = ROOT / "binder/start"
    assert script.read_text().rstrip().endswith('exec "$@"') and script.stat().st_mode & 0o100
    done = subprocess.run([script, "sh", "-c", "echo $MALLOC_ARENA_MAX"], capture_output=True, text=True)
    assert done.stdout.strip() == "1"


def test_the_wheel_has_all_that_a_notebook_needs(tmp_path: Path) -> None:
    """On Colab only the wheel is there: with the page's template, and with the reference."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "course_lib").rglob("*.py")}
    assert modules <= names
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "course_lib").rglob("*.j2")}
    assert pages | {"course_lib/assets/reference/quick.json"} <= names
    code = (
        "import course_lib, pathlib; assert pathlib.Path(course_lib.__file__).parts[-3] == 'site';"
        "from course_lib.evidence.results import load_reference, load_reference_films;"
        "assert load_reference('quick') and load_reference_films('quick')"
    )
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={"PYTHONPATH": str(site)}, timeout=600)


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_set_up_installs_the_library_alone_on_colab_and_nothing_elsewhere(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    (cell,) = [c for c in nbformat.read(path, 4).cells if "set-up" in c.metadata.get("tags", [])]
    code, magics = TransformerManager().transform_cell(cell.source), []
    shell = types.SimpleNamespace(run_line_magic=lambda *words: magics.append(" ".join(words)))
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    exec(code, {"get_ipython": lambda: shell})
    assert magics == []
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(code, {"get_ipython": lambda: shell})
    assert len(magics) == 1
    assert re.fullmatch(r"pip install -q --no-deps git\+https://github\.com/[\w.-]+/[\w.-]+", magics[0])


@pytest.mark.parametrize(("given", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(given: dict[str, str], found: str) -> None:
    """As OpenMP itself says it when torch is loaded, after the cell with which every notebook begins."""
    same = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    code = [sys.executable, "-c", "import course_lib, torch"]
    done = subprocess.run(code, capture_output=True, text=True, env=same | {"OMP_DISPLAY_ENV": "true"} | given)
    if "OMP_WAIT_POLICY" not in done.stderr:
        missing("a build of torch with GNU's library of threads is not here")
    assert f"OMP_WAIT_POLICY = '{found}'" in done.stderr


def test_the_readme_prints_the_commands_that_ci_and_users_run() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m course_lib run\n" in readme
    tests = [line for line in readme.splitlines() if "-m pytest" in line]
    assert tests[0] == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"
    assert '"-m pytest" README.md | head -n 1' in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize(("default", "full"), [(0, 0), (1, 0), (0, 1)])
def test_ci_runs_the_readmes_command_and_then_what_that_leaves_out(default: int, full: int, tmp_path: Path) -> None:
    """With programs that do nothing in the place of pytest and of what CI installs; it fails where either fails."""
    readme = f"Words\n    sh -c 'echo $COURSE_CI default; exit {default}' -m pytest\nbash -c 'exit 3' -m pytest\n"
    files = {"README.md": readme, ".ci/run": (ROOT / ".ci/run").read_text(), "bin/bwrap": "", "bin/chromium": ""}
    files[".venv/bin/python"] = f'#!/bin/sh\necho "$@"\nexit {full}\n'
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([tmp_path / ".ci/run"], capture_output=True, text=True, env=environment)
    said = [line for line in done.stdout.splitlines() if not line.startswith("+")]
    assert (done.returncode, said) == (default or full, ["1 default", "-m pytest -m full"]), done.stderr


def test_the_readme_is_one_page() -> None:
    assert (ROOT / "README.md").stat().st_size <= 7_000


def test_the_words_under_the_picture_are_its_numbers() -> None:
    alt = " ".join(
        re.search(r"!\[(.*?)\]\(assets/figures/layers.png\)", (ROOT / "README.md").read_text(), re.S)[1].split()
    )
    rows = [row for row in load_reference("quick")["probes"] if row["data"] == "photos10"]
    for method in METHODS:
        shares = [[r["accuracy"] for r in rows if (r["method"], r["layer"]) == (method, f"conv{i}")] for i in (1, 2, 5)]
        assert f"{method} {', '.join(f'{100 * statistics.mean(share):.0f}' for share in shares)}" in alt


def test_the_readme_of_the_library_names_every_folder() -> None:
    readme = (ROOT / "course_lib/README.md").read_text()
    for path in (ROOT / "course_lib").glob("*/__init__.py"):
        assert f"| `{path.parent.name}/` |" in readme, path


def test_every_relative_link_leads_somewhere() -> None:
    pages = find_pages(ROOT)
    assert len(pages) == 6
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link.split("#")[0]).exists(), f"{page}: {link}"


def test_the_readmes_hold_what_headers_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in find_pages(ROOT):
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(page.read_text())
    monkeypatch.setattr(headers, "_edit_notebook", lambda *_: [])
    assert headers.write_measured(tmp_path / "README.md") == []


def test_code_and_notebooks_are_linted_and_formatted() -> None:
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run([sys.executable, "-m", "ruff", *command, str(ROOT)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.full
def test_the_panels_work_with_the_ipywidgets_that_colab_has(tmp_path: Path) -> None:
    old = ["ipywidgets==7.7.1", "ipykernel==6.17.1", "widgetsnbextension<4", "ipython_genutils"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), *old]
    if subprocess.run(pip, capture_output=True).returncode:
        missing("ipywidgets 7.7.1 cannot be fetched")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    code = "import ipywidgets; assert ipywidgets.__version__ == '7.7.1'"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        str(ROOT / "tests/test_panels.py"),
    ]
    command += [str(ROOT / "tests/test_journal.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-4000:]
