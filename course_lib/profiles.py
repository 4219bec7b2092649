"""How large everything is: one name, PROFILE, and no other difference in the code."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import torch

from course_lib.networks.alexnet import AlexNet
from course_lib.networks.trunk import Trunk
from course_lib.support.errors import CourseError, unknown
from course_lib.support.machine import describe_device, this_device


@dataclass(frozen=True)
class Profile:
    """The sizes of a run.

    side: pixels of a crop. width, first: the AlexNet, as in `course_lib.networks.alexnet`. hidden: units of the
    head's hidden layers. d: crops. train, test: labelled pictures that a probe uses at most. numbers: features a layer
    that a probe sees. gpu: whether a GPU is needed. stage_width: factor on the filters of networks that are no AlexNet,
    as in `course_lib.networks.others`. network: the one that is trained. How long and how fast a method is trained
    stands in the method's own file. What has a default is the paper's.
    """

    name: str
    side: int
    hidden: int
    train: int
    test: int
    width: float = 1.0
    first: float = 1.0
    d: int = 1_281_167
    numbers: int = 9_600
    gpu: bool = True
    stage_width: float = 1.0
    network: str = "alexnet"

    def trunk(self, first: float = 0.0) -> Trunk:
        """A new network at this profile's size; its weights are drawn from torch's generator.

        first: another factor on conv1's first filters than the profile's, which 0 stands for.
        """
        first = first or self.first
        if self.network == "alexnet":
            return AlexNet(self.side, self.width, first)
        from course_lib.networks.others import OtherTrunk

        return OtherTrunk(self.network, self.side, self.stage_width, first)


PROFILES = {
    "quick": Profile(
        "quick",
        side=32,
        hidden=512,
        train=3_000,
        test=3_000,
        width=0.25,
        first=0.2,
        d=100_000,
        numbers=1_000,
        gpu=False,
        stage_width=0.125,
    ),
    "standard": Profile("standard", side=32, hidden=1_024, train=50_000, test=10_000),
    "paper": Profile("paper", side=224, hidden=4_096, train=1_281_167, test=50_000),
}


@dataclass(frozen=True)
class Course:
    """What every notebook begins with: the sizes, the seed, and the device that everything runs on."""

    profile: Profile
    seed: int
    device: torch.device

    def using(self, network: str, seed: int) -> Course:
        """The same course with another network, `alexnet` or a key of `course_lib.networks.others.OTHERS`, and another
        seed."""
        return replace(self, profile=replace(self.profile, network=network), seed=seed)


def load_profile(name: str) -> Profile:
    """The profile of this name. Raises CourseError for another, and lists those there are."""
    if name not in PROFILES:
        raise unknown("profile", name, tuple(PROFILES))
    return PROFILES[name]


def runnable_profile(name: str, or_quick: bool = False) -> Profile:
    """The profile of this name, if this machine can run it.

    Raises CourseError for a profile that needs a GPU where there is none, unless `or_quick` allows the small one.
    """
    profile = load_profile(name)
    if not profile.gpu or this_device().type == "cuda":
        return profile
    if or_quick:
        return PROFILES["quick"]
    raise CourseError(
        f"the profile {name!r} needs a GPU and none was found; "
        "choose 'quick', or set OR_QUICK to True to fall back to it"
    )


def start(profile: str = "quick", seed: int = 0, or_quick: bool = False) -> Course:
    """Choose the device, seed torch, and say in one line what the notebook runs on.

    seed, or_quick: also as the texts "5" and "false", as papermill's own `-r` and `-p` hand them on. Raises CourseError
    for another value, and as `runnable_profile` does.
    """
    seed = _whole("SEED", seed)
    chosen, device = runnable_profile(profile, _yes("OR_QUICK", or_quick)), this_device()
    if chosen.name != profile:
        print(f"No GPU was found for the profile {profile!r}: going on at {chosen.name!r}, as OR_QUICK allows.")
    torch.manual_seed(seed)
    warnings.formatwarning = _one_line
    print(f"Profile {chosen.name}, seed {seed}, on {describe_device(device)}, torch {torch.__version__}.")
    return Course(chosen, seed, device)


def _whole(name: str, value: object) -> int:
    """A parameter that is a whole number of 0 or more, also as a text."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
        raise CourseError(f"{name} must be a whole number from 0 to 2**63 - 1, got {value!r}")
    return number


def _yes(name: str, value: object) -> bool:
    """A parameter that is True or False, also as a text."""
    known = {"true": True, "false": False}
    given = known.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(given, bool):
        raise CourseError(f"{name} must be True or False, got {value!r}")
    return given


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as a sentence, without the file and line that a learner has no use for."""
    return f"Note: {message}\n"
