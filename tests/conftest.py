"""What all tests share: folders of their own, and tools that CI must have and a user need not."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
_LONGEST_FIRST = (
    *("test_notebooks.py", "test_grading_sandbox.py", "test_reference.py", "test_browser.py", "test_sweep.py"),
    "test_bench.py",
    *("test_packaging.py", "test_checkpoints.py", "test_trunks.py", "test_methods.py", "test_detection.py"),
    *("test_render.py", "test_puzzles.py", "test_cli.py", "test_method_panels.py", "test_grading.py"),
)
"""The files that take longest: given out first, they leave short ones to even out the two workers at the end."""

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes that each take every core wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Two workers unless told otherwise, each with whole files.

    Not in pyproject.toml: there pytest would refuse to start, for nbval too, where xdist is not installed. The longest
    files come first, as below: xdist's own order, by the number of tests, would end with them.
    """
    ours = config.pluginmanager.hasplugin("xdist") and "PYTEST_XDIST_WORKER" not in os.environ  # a worker has none
    if ours and config.option.numprocesses is None and not config.option.usepdb:
        config.option.numprocesses, config.option.dist, config.option.loadscopereorder = 2, "loadfile", False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; pytest's order within each."""
    rank = {name: i for i, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, or the runs of the checkout."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COURSE_LIVE", "0")


def require(tool: str, *trial: str) -> None:
    """Skip a test where a program is missing or fails with the arguments `trial`, as bubblewrap does where name spaces
    are forbidden; in CI, which installs it, fail instead."""
    if not shutil.which(tool) or (trial and subprocess.run([tool, *trial], capture_output=True).returncode):
        missing(f"{tool} is not installed, or may not run here")


def missing(what: str) -> None:
    """Skip a test for want of something; in CI, which installs all that there is to install, fail."""
    if os.environ.get("COURSE_CI"):
        pytest.fail(f"{what}, and CI installs it")
    pytest.skip(what)


def need(module: str) -> ModuleType:
    """Import a module that not every machine has; without it skip the test, or in CI fail."""
    try:
        return importlib.import_module(module)
    except ImportError:
        missing(f"{module} is not installed")
        raise
