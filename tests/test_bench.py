"""The benches: their form, absent peers, and the ratios that hold on any machine."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from click.testing import CliRunner

from course_lib.__main__ import main
from course_lib.bench import beside, kmeans, probes
from course_lib.bench import crops as crops_bench
from course_lib.bench import report as bench
from course_lib.bench.crops import grid_sample, own_peers
from course_lib.bench.report import Peer, compare
from course_lib.bench.training import training_peers
from course_lib.bench.widgets import bench_widgets
from course_lib.data.crops import CropScheme
from course_lib.data.datasets import CropDataset
from course_lib.data.sources import Source, generate
from course_lib.lessons.crops.measures import exact_crops, psnr
from course_lib.profiles import PROFILES
from course_lib.support.machine import cpu_cores
from course_lib.training.arithmetic import arithmetic_of

ROW = {"who", "what", "side", "rate", "unit", "ratio_to_ours", "quality"}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def leaves() -> Source:
    return Source.from_images([generate("dead_leaves", 800, 600)], "leaves")


def test_a_missing_peer_is_named_and_the_others_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    def absent() -> None:
        raise ImportError("No module named 'nowhere'\nand more lines")

    calls = []
    own, other = (Peer(who, "", count, lambda: lambda: calls.append(1)) for who, count in (("ours", 10), ("other", 5)))
    report = compare([own, Peer("gone", "", 1, absent), other], CPU, 32)
    assert report.skipped == [{"who": "gone", "why": "ImportError: No module named 'nowhere'"}]
    assert [row["who"] for row in report.rows] == ["ours", "other"]
    assert report.rows[0]["ratio_to_ours"] == 1
    assert len(calls) == 2 * (1 + bench.TURNS * (bench.WARM_UP + bench.CALLS)) and bench.TURNS * bench.CALLS >= 20
    assert "skipped: gone: ImportError" in report.text()
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["ours: ready after 0 s", "other: ready after 0 s"]
    assert [json.loads(line) for line in told[2:]] == report.rows


def test_a_peer_that_starts_slowly_waits_until_the_others_are_timed() -> None:
    """Then it takes turns with ours, and what was measured before it has been told already."""
    log: list[str] = []

    def peer(who: str, late: bool = False) -> Peer:
        return Peer(who, "", 1, lambda: log.append(f"make {who}") or (lambda: log.append(who)), late=late)

    told: list[str] = []
    report = compare(
        [peer("ours"), peer("late", True), peer("other")], CPU, 32, keep=lambda row: told.append((row["who"], len(log)))
    )
    assert [row["who"] for row in report.rows] == ["ours", "other", "late"]
    begun = log.index("make late")
    assert "other" not in log[begun:] and log[begun:].count("ours") == bench.TURNS * (bench.WARM_UP + bench.CALLS)
    assert [who for who, _ in told] == ["ours", "other", "late"] and told[1][1] < begun
    assert report.rows[0]["ratio_to_ours"] == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer")
@pytest.mark.parametrize("slow_to", ["start", "be called"])
def test_patience_has_an_end(slow_to: str) -> None:
    calls: list[int] = []

    def rest() -> None:
        calls.append(1)
        if slow_to == "start" or len(calls) > 3:
            time.sleep(30)

    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0
    own, slow = Peer("ours", "", 1, lambda: lambda: None), Peer("slow", "", 1, lambda: rest)
    report = compare([own, slow], CPU, 32, patience=0.4)
    assert [row["who"] for row in report.rows] == ["ours"]
    (skipped,) = report.skipped
    assert skipped["who"] == "slow" and skipped["why"].startswith("TimeoutError: it took more than")
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0) == before


@pytest.mark.full
def test_trainings_beside_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once are slower than one alone, and no process is left."""
    monkeypatch.setattr(beside, "_TURNS", 1)
    monkeypatch.setattr(beside, "_STEPS", 4)
    report = beside.bench_beside()
    rows = {row["who"]: row for row in report.rows}
    assert len(rows) == 6 and rows["one training"]["ratio_to_ours"] == 1
    assert all(row["rate"] > 0 and row["unit"] == "steps/s" for row in rows.values())
    assert rows["two trainings"]["ratio_to_ours"] < 1.2
    mine = psutil.Process().children(recursive=True)
    assert not [one for one in mine if "course_lib.bench.beside" in " ".join(one.cmdline())]


def test_the_busy_program_ends_with_the_bench() -> None:
    busy = beside._start([beside._BUSY], dict(os.environ))
    assert busy.poll() is None
    busy.stdin.close()
    try:
        assert busy.wait(timeout=60) == 0
    finally:
        busy.kill()


def test_what_cannot_be_judged_is_timed_all_the_same() -> None:
    report = compare([Peer("ours", "", 10, lambda: lambda: None, quality=lambda: 1 / 0)], CPU, 32)
    assert report.rows[0]["rate"] > 0 and report.rows[0]["quality"] is None
    assert report.skipped == [{"who": "ours, its quality", "why": "ZeroDivisionError: division by zero"}]


def test_what_is_measured_is_kept_when_a_later_bench_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no widgets")

    crops = bench.Report({"torch": "2"}, [{"who": "ours"}])
    monkeypatch.setattr("course_lib.bench.crops.bench_crops", lambda *_: crops)
    monkeypatch.setattr(bench.Report, "text", lambda _: "")
    monkeypatch.setattr("course_lib.bench.widgets.bench_widgets", fail)
    done = CliRunner().invoke(main, ["bench", "all", "--json", str(tmp_path / "all.json")])
    assert str(done.exception) == "no widgets"
    assert json.loads((tmp_path / "all.json").read_text()) == asdict(crops)


def test_torch_compile_can_be_left_out_of_the_training_bench(leaves: Source) -> None:
    data = CropDataset(leaves, d=10, side=32)
    named = [[peer.who for peer in training_peers(PROFILES["quick"], data, both)] for both in (True, False)]
    assert [who for who in named[0] if who not in named[1]] == ["ours, compiled", "bare network, compiled"]
    assert [who for who in named[0] if who in named[1]] == named[1] and named[1][0] == "ours"


def test_the_crops_bench_without_any_peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine that has none of the libraries."""
    for module in ("kornia", "kornia.augmentation", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(bench, "TURNS", 1)
    done = CliRunner().invoke(main, ["bench", "crops", "--sides", "8", "--json", str(tmp_path / "x/crops.json")])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "x/crops.json").read_text())
    assert {row["who"] for row in written["rows"]} == {"ours", "ours, and a new table", "plain grid_sample"}
    assert all(set(row) == ROW and row["rate"] > 0 and row["side"] == 8 for row in written["rows"])
    assert [entry["who"].partition(",")[0] for entry in written["skipped"]] == ["kornia", "torchvision on PIL"]
    assert written["machine"]["torch"] == torch.__version__


def test_ours_is_more_exact_than_plain_reading_and_far_faster_than_torchvision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ratios in one run, on one thread, where another program's load slows both alike. Twenty is asked for each worker
    of torchvision; on an idle machine with two cores it was a hundred with both."""
    source = Source.from_images([generate("dead_leaves", 1600, 1200)], "leaves")
    own = [peer for peer in own_peers(source, 32) if peer.who in ("ours", "plain grid_sample")]
    pil = crops_bench.library_peers(source, 32)[1]
    monkeypatch.setattr(bench, "TURNS", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = {row["who"]: row for row in compare([*own, replace(pil, quality=None)], CPU, 32).rows}
    finally:
        torch.set_num_threads(threads)
    assert rows["ours"]["quality"] > 40 > 30 > rows["plain grid_sample"]["quality"]
    assert rows[pil.who]["ratio_to_ours"] < cpu_cores() / 20


def test_plain_grid_sample_draws_the_same_crops(leaves: Source) -> None:
    """Where nothing is made smaller, both readers agree, colours and all."""
    crops = CropScheme(beta=1e-4, area_law="log-uniform").sample(leaves, 200)
    crops = crops[crops.size.amax(1) < 30]
    image = (leaves.image().float() / 255)[None]
    exact = exact_crops(leaves, crops, 32)
    assert len(crops) > 20 and psnr(grid_sample(image, crops, 32), exact) > 40


@pytest.mark.parametrize("side", [16, 24])
def test_our_own_crops_are_new_at_every_call(side: int, leaves: Source) -> None:
    ours, plain = [peer for peer in own_peers(leaves, side) if peer.quality]
    assert ours.quality() > plain.quality() + 10
    call = ours.make()
    assert call().shape == (ours.count, 3, side, side) and not torch.equal(call(), call()), "new crops every call"


def test_crops_are_known_by_the_places_that_they_show(leaves: Source) -> None:
    crops = CropScheme(jitter=0).sample(leaves, 20)
    centres = (torch.arange(32) + 0.5) / 32 - 0.5
    square = torch.stack(torch.meshgrid(centres, centres, indexing="xy"))
    places = torch.einsum("nij,jyx->niyx", crops.affine[:, :, :2], square) + crops.affine[:, :, 2, None, None]
    assert torch.allclose(crops_bench.crops_at(places).affine, crops.affine, atol=1e-3)


@pytest.mark.parametrize("name", ["kornia", "torchvision on PIL"])
def test_where_a_peer_reads_is_understood(name: str) -> None:
    """On a smooth picture, which every reader gets right if it reads where we think it reads."""
    y, x = np.mgrid[0:300, 0:400]
    waves = [127 + 100 * np.sin(x / 60), 127 + 100 * np.cos(y / 50), 127 + 50 * np.sin((x + y) / 80)]
    source = Source.from_images([torch.from_numpy(np.stack(waves).round().astype(np.uint8))], "waves")
    peer = next(peer for peer in crops_bench.library_peers(source, 32) if peer.who.startswith(name))
    try:
        quality = peer.quality()
    except ImportError as error:
        pytest.skip(f"a peer that only the bench needs: {error}")
    assert quality > 35


@pytest.mark.skipif(os.name != "posix", reason="needs a system that forks")
def test_workers_beside_a_gpu_are_forks_of_a_server(leaves: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen that each import torch again take longer than all that is timed; here two, without the GPU."""
    beside_a_gpu = crops_bench._workers_context(torch.device("cuda"))
    assert (
        beside_a_gpu.get_start_method() == "forkserver"
        and crops_bench._workers_context(CPU).get_start_method() == "fork"
    )
    monkeypatch.setattr(crops_bench, "_workers_context", lambda _: beside_a_gpu)
    crops = crops_bench.pil_loader(leaves, 16, 8, 2)()
    assert crops.shape == (8, 3, 16, 16) and -1 <= crops.min() < crops.max() <= 1


@pytest.mark.full
def test_the_training_bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its form; and what was measured on CPUs to hold with a wide margin, on one thread and in many short turns, where
    load slows all alike."""
    for name, count in (("TURNS", 8), ("CALLS", 2), ("WARM_UP", 1)):
        monkeypatch.setattr(bench, name, count)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done = CliRunner().invoke(main, ["bench", "train", "--json", str(tmp_path / "train.json")])
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "train.json").read_text())
    *rows, grouping = written["rows"]
    assert written["skipped"] == [] and all(set(row) == ROW and row["unit"] == "images/s" for row in rows)
    ratio = {row["who"].partition(",")[0] + row["who"].partition(",")[2]: row["ratio_to_ours"] for row in rows}
    assert ratio["ours one cached batch"] < 1.3, "making the crops takes more than a quarter of a step"
    arithmetic = arithmetic_of(CPU)
    if arithmetic.precision == "bfloat16":  # a processor without it trains as the plain loop does
        assert ratio["plain loop DataLoader with 2 workers"] < 1 / 1.5
    assert str(arithmetic) in rows[0]["what"]
    assert grouping["unit"] == "% of its time" and 0 < grouping["rate"] < 100


@pytest.mark.full
def test_the_k_means_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kmeans.SIZES, "cpu", (3000, 32, 40))
    report = kmeans.bench_kmeans(CPU)
    rows = {row["who"]: row for row in report.rows}
    assert {"ours", "scikit-learn"} <= set(rows) and all(set(row) == ROW for row in report.rows)
    assert rows["ours"]["quality"] == 0 and abs(rows["scikit-learn"]["quality"]) < 0.2
    assert "+0.00 %" in report.text() and {s["who"] for s in report.skipped} <= {
        *("faiss", "flash-kmeans", "faiss, its quality"),
    }


@pytest.mark.full
def test_the_probes_bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its form; and that all the ways find about the same."""
    monkeypatch.setattr(probes, "PROFILES", {"quick": replace(PROFILES["quick"], side=16, width=0.1, numbers=100)})
    size = ["--train", "200", "--test", "200", "--passes", "2"]
    done = CliRunner().invoke(main, ["bench", "probes", *size, "--json", str(tmp_path / "probes.json")])
    assert done.exit_code == 0, done.output
    rows = {row["who"]: row for row in json.loads((tmp_path / "probes.json").read_text())["rows"]}
    assert list(rows) == ["ours", "ours, conv5 alone", "ours, in a stream", "scikit-learn"]
    assert all(set(row) == ROW and row["unit"] == "layers/s" and row["rate"] > 0 for row in rows.values())
    assert all(10 < row["quality"] < 100 for row in rows.values()), "guessing is 10 %"
    assert abs(rows["scikit-learn"]["quality"] - rows["ours, conv5 alone"]["quality"]) < 8
    assert "2 passes run, the rate is that of 36" in rows["ours, in a stream"]["what"]
    assert f"{rows['ours']['quality']:.1f} %" in done.output


@pytest.mark.full
def test_the_widgets_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one thread, where another program's load slows every way to redraw alike."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    report = bench_widgets(moves=25)
    assert len(report.rows) == 6
    for row in report.rows:
        assert set(row) == ROW and row["rate"] > 0
    rows = {row["who"]: row for row in report.rows}
    assert rows["matplotlib, kept figure"]["ratio_to_ours"] > 1.5
    assert json.dumps(asdict(report))


@pytest.mark.parametrize("sides", ["0", "x", "32;64", "32,"])
def test_sides_that_are_none_are_refused(sides: str) -> None:
    done = CliRunner().invoke(main, ["bench", "crops", f"--sides={sides}"])
    assert done.exit_code == 2 and "--sides takes whole numbers" in done.output
