"""What is particular to DeepCluster and BiGAN, and what all methods share: recipes, noise, memory, arithmetic."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file
from scipy.stats import chisquare, kstest
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.data.datasets import CropDataset
from course_lib.lessons.methods import found_again
from course_lib.networks.alexnet import AlexNet
from course_lib.networks.trunk import forget_statistics
from course_lib.pretext.bigan import BiGAN, Discriminator, Generator, game
from course_lib.pretext.deepcluster import DeepCluster, balanced
from course_lib.pretext.method import SCHEDULES, Batch, Method, Recipe, make_optimiser, make_schedule
from course_lib.support.distributed import SyncedBatchNorm, sync_batchnorm
from course_lib.support.errors import CourseError
from course_lib.training import arithmetic
from course_lib.training.arithmetic import Arithmetic
from course_lib.training.loop import fit
from course_lib.training.steps import Training

SIZES = {"rotnet": 8, "deepcluster": 16, "bigan": 16}


@pytest.fixture(scope="module")
def crops() -> CropDataset:
    return tiny.crops()


def batch(n: int = 16, first: int = 0) -> Batch:
    return Batch(torch.arange(n), 0, 0, first)


# Recipes


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_a_share_of_the_rate_and_needs_no_history(name: str) -> None:
    recipe = Recipe(50, 1, 0.1, schedule=name)
    rates = []
    optimiser = make_optimiser([nn.Parameter(torch.zeros(2))], recipe)
    schedule = make_schedule(optimiser, recipe)
    for done in range(50):
        rates.append(optimiser.param_groups[0]["lr"])
        late = make_optimiser([nn.Parameter(torch.zeros(2))], recipe)
        make_schedule(late, recipe, done)
        assert late.param_groups[0]["lr"] == rates[-1], f"at step {done}"
        optimiser.step()
        schedule.step()
    assert max(rates) <= 0.1 + 1e-12 and min(rates) >= 0
    ends = {
        "one cycle": (0.004, 0.00015),
        "constant": (0.1, 0.1),
        "three drops": (0.1, 1e-4),
        "late decay": (0.1, 0.0012),
    }
    assert rates[0] == pytest.approx(ends[name][0]) and rates[-1] == pytest.approx(ends[name][1], rel=0.5)


@pytest.mark.parametrize("wrong", [{"schedule": "random"}, {"optimiser": "lion"}, {"rounds": 0}])
def test_a_recipe_that_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        Recipe(5, 5, 0.1, **wrong)


def test_noise_belongs_to_the_example_and_not_to_the_batch() -> None:
    whole = batch(1000).uniform(7)
    assert torch.equal(torch.cat([batch(1000).part(0, 300).uniform(7), batch(1000).part(300, 1000).uniform(7)]), whole)
    assert not torch.equal(batch(1000)._replace(seed=1).uniform(7), whole)
    assert whole.abs().max() < 1 and kstest(whole.flatten().numpy(), "uniform", (-1, 2)).pvalue > 0.01
    assert abs(float(torch.corrcoef(whole.T)[0, 1])) < 0.1


# DeepCluster


def test_draws_are_even_over_the_groups_that_have_any() -> None:
    one = tiny.method("deepcluster")
    labels = torch.cat([torch.full((n,), i) for i, n in enumerate((60, 30, 0, 15, 10, 4, 1, 0, 0, 0))])
    one.set_labels(labels)
    drawn = labels[torch.cat([one.draw(200, 100, 0, step) for step in range(60)])]
    counts = torch.bincount(drawn, minlength=10)
    assert set(counts.nonzero().flatten().tolist()) == {0, 1, 3, 4, 5, 6}
    assert chisquare(counts[counts > 0].numpy()).pvalue > 0.01
    assert torch.equal(one.draw(200, 100, 0, 3), one.draw(200, 100, 0, 3))
    assert float(balanced(labels).sum()) == pytest.approx(1)


def test_a_round_groups_anew_and_makes_the_last_layer_anew(crops: CropDataset) -> None:
    training = Training(tiny.method("deepcluster"), crops, tiny.RECIPES["deepcluster"], 0, False)
    method, top = training.method, training.method.head[-1]
    for _ in range(4):
        training.step()
    before, weight = method.labels.clone(), top.weight.clone()
    momentum = training.optimiser.state[top.weight]["momentum_buffer"]
    assert momentum.abs().max() > 0 and method.agreement.isnan().all()
    training._begin_round(1)
    assert not torch.equal(method.labels, before) and not torch.equal(top.weight, weight)
    assert momentum.abs().max() == 0 and top.bias.abs().max() == 0 and top.weight.detach().std() < 0.02
    other = training.optimiser.state[training.parameters[0]]["momentum_buffer"]
    assert other.abs().max() > 0, "only the last layer forgets its momentum"
    assert 0 < float(method.agreement[1]) <= 1 and int(method.filled[1]) == len(method.labels.unique())


def test_what_is_grouped_is_the_hidden_layer_before_its_relu(crops: CropDataset) -> None:
    one = tiny.method("deepcluster").eval()
    features = one.features(crops[:8])
    assert features.min() < 0 and torch.allclose(one.head[-1](features.relu()), one(crops[:8]), atol=1e-5)


def test_fewer_crops_than_groups() -> None:
    few = tiny.crops(20)
    one = DeepCluster(AlexNet(32, 0.1), 20, 20, 1, 32)
    assert fit(one, few, Recipe(2, 4, 0.01)).loss.isfinite().all()


# BiGAN


@pytest.mark.parametrize("side", [32, 64, 128])
def test_generator_and_discriminator_fit_each_other(side: int) -> None:
    z = torch.randn(3, 10)
    pictures = Generator(10, side, 8)(z)
    assert pictures.shape == (3, 3, side, side) and pictures.abs().max() <= 1
    assert Discriminator(10, side, 8)(pictures, z).shape == (3,)


def test_another_side_is_refused_and_the_encoder_may_see_more() -> None:
    with pytest.raises(ValueError, match="32, 64 or 128 pixels, got 48"):
        Generator(10, 48, 8)
    large = CropDataset(tiny.crops().source, d=20, side=128)
    method = BiGAN(AlexNet(128, 0.1), code=8, side=64, width=8)
    loss, _ = method.loss(large, batch(6))
    assert loss.isfinite() and method.shown(large).images.shape == (36, 3, 64, 64)


def test_one_loss_gives_each_part_its_own_gradient(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.pretext.bigan.RESTS_ABOVE", 2.0)
    method = tiny.method("bigan").eval()  # fixed statistics, so that two passes are the same
    method.loss(crops, batch())[0].backward()
    given = {name: p.grad.clone() for name, p in method.named_parameters()}
    images, z = crops[torch.arange(16)], batch().uniform(method.code)
    real, made = method.discriminator(images, method.encode(images)), method.discriminator(method.generator(z), z)
    for part, loss in zip(("discriminator", ""), game(real, made, 0.9)[:1] + game(real, made)[1:]):
        names = [n for n, _ in method.named_parameters() if n.startswith("discriminator") == bool(part)]
        wanted = torch.autograd.grad(loss, [method.get_parameter(n) for n in names], retain_graph=True)
        for name, gradient in zip(names, wanted):
            assert torch.allclose(given[name], gradient, atol=1e-5), name


def test_the_discriminator_rests_while_it_is_far_ahead(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for above, rests in ((-1.0, True), (2.0, False)):
        monkeypatch.setattr("course_lib.pretext.bigan.RESTS_ABOVE", above)
        method = tiny.method("bigan")
        method.loss(crops, batch())[0].backward()
        size = sum(float(p.grad.abs().sum()) for p in method.discriminator.parameters())
        assert (size == 0) == rests
        assert all(p.requires_grad for p in method.discriminator.parameters())


def test_certainty_is_smoothed_on_one_side() -> None:
    """With labels of 0.9 the best answer to real pairs is a logit of log 9, and not an ever larger one."""
    grid = torch.linspace(-10, 10, 401)
    best = min(grid, key=lambda x: float(game(x[None], torch.tensor([-9.0]), 0.9)[0]))
    assert float(best) == pytest.approx(math.log(9), abs=0.05)


class Copies(nn.Module):
    """A generator that makes what it was given."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images)

    def forward(self, z: Tensor) -> Tensor:
        return self.images[: len(z)]


def test_a_collapse_is_seen(crops: CropDataset) -> None:
    method = tiny.method("bigan")
    assert not method.collapsed, "nothing is known yet"
    for images, collapsed in ((crops[100:116], False), (crops[[5] * 16], True)):
        method.generator = Copies(images)
        method.loss(crops, batch())
        assert method.collapsed == collapsed


def test_codes_keep_the_spread_of_z(crops: CropDataset) -> None:
    """The guard against an encoder that gives every picture the same code."""
    method = tiny.method("bigan")
    codes = method.encode(crops[:100])
    assert torch.allclose(codes.std(0), torch.full((8,), 3**-0.5), rtol=0.05)


def test_found_again() -> None:
    images = torch.rand(10, 3, 4, 4)
    assert found_again(images, images) == 1 and found_again(images, images.flip(0)) == 0


# The loop


@pytest.mark.parametrize("name", tiny.RECIPES)
def test_a_step_asks_nothing_of_the_device(name: str, crops: CropDataset) -> None:
    """Every answer that the host waits for would hold a GPU up. The CPU's own draws may be read."""

    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, given=(), others=None):  # noqa: ANN001, ANN204
            Reads.count += "_local_scalar_dense" in str(function) or "nonzero" in str(function)
            return function(*given, **(others or {}))

    training = Training(tiny.method(name), crops, tiny.RECIPES[name], 0, False)
    training.step()  # the first of a round may
    with Reads():
        training.step()
    assert Reads.count == 0
    with Reads():
        torch.zeros(1).item()
    assert Reads.count == 1, "the counter counts"


class Linear(Method):
    """A method without BatchNorm, so that a batch is the sum of its parts; short of memory above some size."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.trunk, self.most, self.sizes = AlexNet(32, 0.1), most, []
        self.trunk.requires_grad_(False)
        self.layer = nn.Linear(3 * 32 * 32, 1)

    def loss(self, data: CropDataset, batch: Batch) -> tuple[Tensor, Tensor]:
        self.sizes.append(len(batch.index))
        if len(batch.index) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        answer = self.layer(data[batch.index].flatten(1)) - batch.uniform(1)
        return answer.square().mean(), answer.detach().mean()


def short_of_memory(most: int, crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> tuple[Linear, Tensor]:
    """The method and its losses after three steps of 15 examples, where `most` of them fit at a time."""
    monkeypatch.setattr("course_lib.training.steps.arithmetic_of", lambda *_: Arithmetic())
    torch.manual_seed(0)
    method = Linear(most)
    return method, fit(method, crops, Recipe(3, 15, 0.01)).loss


def test_where_memory_runs_out_it_goes_on_in_halves(
    crops: CropDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, losses = short_of_memory(15, crops, monkeypatch)
    assert whole.sizes == [15, 15, 15] and "Memory" not in capsys.readouterr().out
    halves, others = short_of_memory(8, crops, monkeypatch)
    assert halves.sizes == [15, 7, 8, 7, 8, 7, 8]
    said = capsys.readouterr().out
    assert "Memory ran out at step 0: going on with 7 examples at a time, two times a step." in said
    assert torch.allclose(halves.layer.weight, whole.layer.weight, atol=1e-6)
    assert torch.allclose(losses, others, atol=1e-5)


def test_where_halves_are_too_much_it_says_what_to_do(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        CourseError, match="even at 7 examples at a time; take a smaller profile, or shut other kernels"
    ):
        short_of_memory(4, crops, monkeypatch)


# Arithmetic


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16 amx_tile", Arithmetic("bfloat16", channels_last=True)),
        ("flags\t\t: fpu avx2 amx_bf16", Arithmetic("bfloat16", channels_last=True)),
        ("Features\t: fp asimd bf16 sve", Arithmetic("bfloat16", channels_last=True)),
        ("flags\t\t: fpu avx2 avx512f\nbugs\t\t: bf16", Arithmetic(channels_last=True)),
        (None, Arithmetic(channels_last=True)),
    ],
)
def test_the_processor_and_nothing_else_decides_the_arithmetic(
    flags: str | None, found: Arithmetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flags:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(arithmetic, "_CPUINFO", tmp_path / "cpuinfo")
    arithmetic._processor_has_bfloat16.cache_clear()
    assert arithmetic.arithmetic_of(torch.device("cpu")) == found
    arithmetic._processor_has_bfloat16.cache_clear()


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_a_gpu_that_only_emulates_bfloat16_calculates_in_float32(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert arithmetic.arithmetic_of(torch.device("cuda")).precision == precision


# Several processes


@pytest.mark.parametrize("names", [("rotnet", "deepcluster"), pytest.param((*tiny.RECIPES,), marks=pytest.mark.full)])
def test_two_processes_train_as_one(names: tuple[str, ...], tmp_path: Path) -> None:
    """DeepCluster's k-means included: the same losses and weights but for the order of sums."""
    script, environment = Path(__file__).with_name("tiny.py"), os.environ | {"OMP_NUM_THREADS": "1"}
    for name, start in {
        "one": [sys.executable],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"],
    }.items():
        (tmp_path / name).mkdir()
        command = [*start, str(script), str(tmp_path / name), *names]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
    for name in names:
        one, two = (load_file(tmp_path / folder / f"{name}.safetensors") for folder in ("one", "two"))
        # Sums in another order differ in the last digit, and every step makes more of it: equal at first, near later.
        assert torch.allclose(one["loss"], two["loss"], atol=2e-3), (name, one["loss"], two["loss"])
        assert torch.allclose(one["loss"][:4], two["loss"][:4], atol=1e-4), (name, one["loss"], two["loss"])
        if name == "deepcluster":
            assert torch.equal(one["labels"], two["labels"])


FAILS = """
import torch
from course_lib.support import distributed

distributed.join()
if distributed.rank():
    raise ValueError("one of two fails")
distributed.all_sum(torch.ones(1))
"""


@pytest.mark.full
def test_one_process_that_fails_ends_the_others(tmp_path: Path) -> None:
    """It must end, and not wait at its end for those that wait for it in a sum: they would for half an hour."""
    (tmp_path / "fails.py").write_text(FAILS)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [*start, str(tmp_path / "fails.py")], capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode and "one of two fails" in done.stderr


def test_batches_that_cannot_be_shared_are_refused(crops: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.support.distributed.size", lambda: 3)
    with pytest.raises(CourseError, match="3 processes cannot share batches of 8 evenly"):
        Training(tiny.method("rotnet"), crops, tiny.RECIPES["rotnet"], 0, False)


@pytest.mark.parametrize("shape", [(12, 5), (6, 5, 4, 3)])
def test_batchnorm_over_all_processes_is_batchnorm(
    shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one process in the group, it must be the usual one: values, gradients and what it remembers."""
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        usual = nn.Sequential(nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5))
        nn.init.uniform_(usual[0].weight)
        synced = nn.Sequential(type(usual[0])(5))
        synced.load_state_dict(usual.state_dict())
        sync_batchnorm(synced)
        assert isinstance(synced[0], SyncedBatchNorm)
        grads = []
        for network in (usual, synced):
            x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
            network(x).pow(3).sum().backward()
            grads.append((x.grad, network[0].weight.grad, network[0].running_mean, network[0].running_var))
        for a, b in zip(*grads):
            assert torch.allclose(a, b, atol=2e-4)
        for network in (usual, synced):
            forget_statistics(network)
            for seed in (1, 2, 3):
                network(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        assert torch.allclose(usual[0].running_mean, synced[0].running_mean, atol=1e-5)
        assert torch.allclose(usual.eval()(x), synced.eval()(x), atol=1e-5)
    finally:
        dist.destroy_process_group()


def test_recipes_of_all_methods_are_there_for_the_profiles_that_they_are_meant_for() -> None:
    from course_lib.pretext.method import find_method, find_recipe, method_names, without_labels
    from course_lib.profiles import PROFILES

    for name in method_names():
        meant = set(find_method(name).RECIPES)
        assert {"standard", "paper"} <= meant <= set(PROFILES)
        for profile in PROFILES:
            assert (name in without_labels(profile)) == (profile in meant and name != "supervised")
        assert all(dataclasses.asdict(find_recipe(name, profile)) for profile in meant)
    assert {"rotnet", "deepcluster", "bigan", "jigsaw", "pirl"} == set(without_labels("quick"))
    with pytest.raises(CourseError, match="jigsaw_resnet50 is not meant for the profile 'quick'; choose standard or"):
        find_recipe("jigsaw_resnet50", "quick")
