"""A training on disk: killed, interrupted, cut, forged, and each time it goes on to the same weights."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import Tensor

from course_lib.pretext.method import Batch
from course_lib.pretext.rotnet import RotNet
from course_lib.support.errors import CourseError
from course_lib.training.checkpoints import Checkpoints, State
from course_lib.training.loop import fit
from course_lib.training.steps import History, Training

NAMES = tuple(tiny.RECIPES)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit; what is nan in one is nan in the other."""
    return a.keys() == b.keys() and all(torch.equal(a[k].nan_to_num(7e9), b[k].nan_to_num(7e9)) for k in a)


def forked(name: str, folder: Path, steps: int = 0, wait: float = 0.0) -> float:
    """Train in a child, forked before this process has used a thread; kill it `wait` seconds after some steps.

    steps: those of this child after which it is killed, or 0 for none. Returns the seconds from its first step on.
    """
    told, tells = os.pipe()
    child = os.fork()
    if not child:
        try:
            sys.stdout = (folder / "log").open("a", buffering=1)
            torch.set_num_threads(1)
            tiny.plain_arithmetic()
            one, history = tiny.train(name, folder, lambda: os.write(tells, b"x"))
            tiny.write(one, history, folder / f"{name}.done")
        finally:
            os._exit(0)
    os.close(tells)
    os.read(told, 1)
    start = time.perf_counter()
    if steps:
        for _ in range(steps):
            os.read(told, 1)
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(told)
    return time.perf_counter() - start


KILLS = """
import random, sys
from pathlib import Path
import torch._dynamo  # which an optimiser imports, and which takes longer than the whole training
sys.path.insert(0, {tests!r})
import tiny
from test_checkpoints import forked
folder, name, chance = Path({folder!r}), {name!r}, random.Random({seed})
whole, broken = folder / "whole", folder / "broken"
whole.mkdir(), broken.mkdir()
step = forked(name, whole) / tiny.STEPS
for _ in range({kills}):
    forked(name, broken, chance.randint(2, 3), chance.uniform(0, step))
forked(name, broken)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that it forked")
@pytest.mark.parametrize(
    ("name", "kills"), [("rotnet", 2), *(pytest.param(name, 4, marks=pytest.mark.full) for name in NAMES)]
)
def test_killed_at_random_moments_it_ends_with_the_same_weights(name: str, kills: int, tmp_path: Path) -> None:
    """A checkpoint is written after every step, so that some of the kills fall into a save."""
    text = KILLS.format(tests=str(Path(__file__).parent), folder=str(tmp_path), name=name, kills=kills, seed=len(name))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    whole, broken = (load_file(tmp_path / folder / f"{name}.done") for folder in ("whole", "broken"))
    assert same(whole, broken)
    log = (tmp_path / "broken/log").read_text()
    assert re.search(r"going on from step [1-9]", log), f"every kill came before the first checkpoint: {log}"


def weights(one: torch.nn.Module) -> dict[str, Tensor]:
    return dict(one.state_dict())


@pytest.fixture(scope="module")
def unbroken() -> dict[str, tuple[dict[str, Tensor], History]]:
    found = {}
    for name in NAMES:
        one, history = tiny.train(name)
        found[name] = weights(one), history
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_method_trains_again_to_the_same_bits(name: str, unbroken: dict) -> None:
    one, history = tiny.train(name)
    assert same(weights(one), unbroken[name][0]) and torch.equal(history.loss, unbroken[name][1].loss)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, act: str) -> list[int]:
    """From within the loss of this step, press the stop button (`signal`) or raise at once (`raise`)."""
    original, seen = RotNet.loss, []

    def loss(self: RotNet, data: object, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append(batch.step)
        if batch.step == step and len(seen) == step + 1:
            if act == "raise":
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)
        return original(self, data, batch)

    monkeypatch.setattr(RotNet, "loss", loss)
    return seen


@pytest.mark.parametrize("act", ["signal", "raise"])
def test_after_an_interrupt_it_goes_on_where_it_was(
    act: str, tmp_path: Path, unbroken: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = signal.getsignal(signal.SIGINT)
    seen = interrupt_at(monkeypatch, 5, act)
    one, history = tiny.train("rotnet", tmp_path)
    assert signal.getsignal(signal.SIGINT) is usual
    # The stop button lets the step end; what is raised from within costs the step.
    assert history.stopped == (6 if act == "signal" else 5) and not one.training
    said = capsys.readouterr().out
    assert "the network can be used as it is. Run this cell again, and it goes on from here" in said
    assert one(tiny.crops()[:4]).isfinite().all()
    again, history = tiny.train("rotnet", tmp_path)
    assert f"going on from step {6 if act == 'signal' else 5} of 12" in capsys.readouterr().out
    assert history.stopped is None and len(seen) == (12 if act == "signal" else 13)
    assert same(weights(again), unbroken["rotnet"][0]) and torch.equal(history.loss, unbroken["rotnet"][1].loss)
    assert torch.equal(history.film, unbroken["rotnet"][1].film)


def test_an_interrupt_from_another_thread_is_no_matter() -> None:
    """Signals belong to the main thread; a training in another must not ask for them."""
    done: list[History] = []
    thread = threading.Thread(target=lambda: done.append(tiny.train("rotnet")[1]))
    thread.start()
    thread.join(120)
    assert len(done[0].loss) == 12


def half_trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training that stopped in the middle; its last checkpoint."""
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5, "raise")
        tiny.train("rotnet", folder)
    return folder / "rotnet.safetensors"


class Evil:
    """Unpickled, it would say so."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


@pytest.mark.parametrize("harm", ["cut", "empty", "text", "pickle", "foreign", "other sizes", "no tensors"])
def test_what_cannot_be_used_is_refused_and_the_one_before_is_used(
    harm: str, tmp_path: Path, unbroken: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = half_trained(tmp_path, monkeypatch)
    content = path.read_bytes()
    other = Checkpoints(path.with_name("other.safetensors"), "rotnet" if harm == "other sizes" else "other")
    other.save(State({"method.x": torch.zeros(3), "series.loss": torch.zeros(0)}, {"done": 0}))
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "text": b"these are no weights" * 100,
            "pickle": pickle.dumps(Evil()),
            "foreign": other.path.read_bytes(),
            "other sizes": other.path.read_bytes(),
            "no tensors": b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
        }[harm]
    )
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    monkeypatch.setattr(torch, "load", None)
    capsys.readouterr()
    again, history = tiny.train("rotnet", tmp_path)
    said = capsys.readouterr().out
    assert f"The checkpoint {path.name} is left aside: it" in said and "unpickled" not in said
    assert "going on from step 4 of 12" in said, "the one before is a step older"
    assert same(weights(again), unbroken["rotnet"][0])


def test_without_any_that_can_be_used_it_begins_anew(
    tmp_path: Path, unbroken: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = half_trained(tmp_path, monkeypatch)
    for file in (path, path.with_name("rotnet.previous.safetensors")):
        file.write_bytes(b"")
    again, _ = tiny.train("rotnet", tmp_path)
    assert capsys.readouterr().out.count("is left aside") == 2
    assert same(weights(again), unbroken["rotnet"][0])


def test_a_full_disk_is_said_and_costs_nothing_else(
    tmp_path: Path, unbroken: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise CourseError("the disk is full; free some space and run again")

    monkeypatch.setattr("course_lib.training.checkpoints.write_file", full)
    one, _ = tiny.train("rotnet", tmp_path)
    assert "No checkpoint was kept: the disk is full" in capsys.readouterr().out
    assert same(weights(one), unbroken["rotnet"][0])


def test_a_loss_that_is_no_number_goes_back_to_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, kept = RotNet.loss, []

    def loss(self: RotNet, data: object, batch: Batch) -> tuple[Tensor, Tensor]:
        value, accuracy = original(self, data, batch)
        if batch.step == 7:
            kept.append({k: v.clone() for k, v in self.state_dict().items() if "running" not in k and "num" not in k})
            value = value * torch.nan
        return value, accuracy

    monkeypatch.setattr(RotNet, "loss", loss)
    one = tiny.method("rotnet")
    monkeypatch.setattr("course_lib.training.checkpoints.EVERY", 0.0)
    monkeypatch.setattr("course_lib.training.checkpoints.PATIENCE", 0)
    checkpoints = Checkpoints(tmp_path / "x.safetensors", "x")
    with pytest.raises(RuntimeError, match="no number at step 7; lower the learning rate, now 0.02; .* back at step 7"):
        fit(one, tiny.crops(), tiny.RECIPES["rotnet"], checkpoints=checkpoints)
    now = one.state_dict()
    assert all(torch.equal(now[key], value) for key, value in kept[0].items()) and not one.training


def test_the_arithmetic_that_a_training_began_with_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half_trained(tmp_path, monkeypatch)
    began = Training(tiny.method("rotnet"), tiny.crops(), tiny.RECIPES["rotnet"], 0, False).arithmetic
    other = "float32" if began.precision == "bfloat16" else "bfloat16"
    opposite = type(began)(other, not began.channels_last)
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: opposite)
    _, history = tiny.train("rotnet", tmp_path)
    assert history.precision == began.precision
