"""Train or load: the same line takes a minute the first time and a second after that."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

import course_lib
from course_lib.datasets import CropDataset, LabelledImages
from course_lib.errors import CourseError
from course_lib.files import make_folder, sha256_of, write_file
from course_lib.networks import AlexNet
from course_lib.pretext import find_method
from course_lib.profiles import Course
from course_lib.training import History, fit

# The modules whose code decides what a training gives.
_STEPS = ("sources", "mips", "crops", "placing", "render", "datasets", "networks", "training")
_CODE = tuple(f"course_lib.{module}" for module in _STEPS)


@dataclass(frozen=True)
class Trained:
    """A finished training: the method in evaluation mode, what happened on the way, and whether it was loaded."""

    method: nn.Module
    history: History
    loaded: bool

    @property
    def trunk(self) -> AlexNet:
        """The network without its head."""
        return self.method.trunk


def untrained(course: Course) -> AlexNet:
    """The trunk as every method starts from it: random filters, from the course's seed."""
    torch.manual_seed(course.seed)
    return course.profile.trunk().to(course.device).eval()


def pretrain(name: str, course: Course, data: CropDataset | LabelledImages, steps: int = 0) -> Trained:
    """Train a method (`rotnet`, `supervised`, ...) on `data`, or load the training if the same one was done before.

    steps: 0 takes the profile's. "The same" is decided by a hash of everything that the outcome depends on: method,
    sizes, seed, steps, the data's own pixels, and the code of the library: change a method, and it is trained anew. A
    training that was interrupted is not kept. Raises CourseError for an unknown method.
    """
    recipe = _recipe(name, course, data, steps)
    method_class = find_method(name)
    path = runs_folder("trained") / f"{name}-{_hash(recipe)}.safetensors"
    torch.manual_seed(course.seed)
    method = method_class.build(course.profile, data)
    if history := _load(path, method):
        print(f"{name}: loaded, as it was trained before with the same parameters ({len(history.loss)} steps)")
        return Trained(method.to(course.device).eval(), history, loaded=True)
    method.to(course.device)
    labelled = isinstance(data, LabelledImages)
    history = fit(
        method,
        data.to(course.device) if labelled else data,
        steps=recipe["steps"],
        batch=recipe["batch"],
        learning_rate=course.profile.learning_rate,
        seed=course.seed,
        title=name,
    )
    if history.stopped is None:
        try:
            _save(path, method, history, recipe)
        except CourseError as error:  # a full disk must not cost the training
            print(f"{error}. The network can be used here and now, but it is not kept.")
    return Trained(method, history, loaded=False)


def runs_folder(*parts: str) -> Path:
    """A folder below $COURSE_RUNS, or below `runs/` of the checkout (of the working folder, where the library was
    installed without one)."""
    checkout = Path(course_lib.__file__).parents[1]
    base = checkout if (checkout / "notebooks").is_dir() else Path.cwd()
    return make_folder(Path(os.environ.get("COURSE_RUNS") or base / "runs", *parts))


def _recipe(name: str, course: Course, data: CropDataset | LabelledImages, steps: int) -> dict[str, Any]:
    labelled, profile = isinstance(data, LabelledImages), course.profile
    return {
        "code": {
            module: sha256_of(Path(find_spec(module).origin)) for module in (*_CODE, f"course_lib.pretext.{name}")
        },
        "method": name,
        "profile": asdict(profile),
        "seed": course.seed,
        "steps": steps or (profile.label_steps if labelled else profile.steps),
        "batch": profile.label_batch if labelled else profile.batch,
        "data": _describe_labelled(data) if labelled else _describe_crops(data),
    }


def _describe_crops(data: CropDataset) -> dict[str, Any]:
    pixels = data.source.texels.cpu().numpy().tobytes()
    return {
        "source": data.source.name,
        "pixels": hashlib.sha256(pixels).hexdigest(),
        "scheme": asdict(data.scheme),
        "d": len(data),
        "side": data.side,
        "seed": data.seed,
    }


def _describe_labelled(data: LabelledImages) -> dict[str, Any]:
    pixels = data.train_images.cpu().numpy().tobytes() + data.train_labels.cpu().numpy().tobytes()
    return {"name": data.name, "pixels": hashlib.sha256(pixels).hexdigest()}


def _hash(recipe: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def _save(path: Path, method: nn.Module, history: History, recipe: dict[str, Any]) -> None:
    tensors = {f"method.{key}": value.contiguous() for key, value in method.state_dict().items()}
    numbers = {"seconds": history.seconds, "precision": history.precision}
    for key in ("loss", "accuracy", "film", "film_steps"):
        tensors[f"history.{key}"] = getattr(history, key).contiguous()
    write_file(path, save(tensors, {"recipe": json.dumps(recipe), "history": json.dumps(numbers)}))


def _load(path: Path, method: nn.Module) -> History | None:
    """The history, with the weights put into `method`; None where there is no such file, or not a whole one."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            numbers = json.loads(file.metadata()["history"])
        method.load_state_dict({k.removeprefix("method."): v for k, v in tensors.items() if k.startswith("method.")})
        series = {k.removeprefix("history."): v for k, v in tensors.items() if k.startswith("history.")}
        return History(**series, **numbers)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        print(f"{path.name} is damaged ({type(error).__name__}) and is left aside: training again")
        return None
