"""Train or load: the same line takes a minute the first time and a second after that."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from course_lib.data.datasets import CropDataset, LabelledImages
from course_lib.networks.trunk import Trunk
from course_lib.pretext.method import Method, Recipe, find_method, find_recipe
from course_lib.profiles import Course
from course_lib.support import distributed
from course_lib.support.errors import CourseError
from course_lib.support.files import hash_of_spine, runs_folder
from course_lib.support.machine import has_front_end
from course_lib.training.checkpoints import Checkpoints
from course_lib.training.loop import fit
from course_lib.training.steps import History


@dataclass(frozen=True)
class Trained:
    """A finished training: the method in evaluation mode, what happened on the way, the recipe that was followed,
    whether it was loaded, and whether its picture was seen growing."""

    method: Method
    history: History
    recipe: Recipe
    loaded: bool
    seen: bool = False

    @property
    def trunk(self) -> Trunk:
        """The network without its head."""
        return self.method.trunk

    @torch.no_grad()
    def replay(self, data: Any) -> None:
        """Show how the training went, unless its picture was seen growing, and so stands above already."""
        if self.seen:
            return
        from course_lib.pictures.charts import training_picture
        from course_lib.pictures.figures import show

        name, steps = type(self.method).__module__.rpartition(".")[2], len(self.history.loss)
        history, able = self.history, self.method.shown(data)
        show(training_picture(name, history.loss, history.accuracy, steps, history.film[-1], able))


def untrained(course: Course) -> Trunk:
    """The trunk as every method starts from it: random filters, from the course's seed."""
    torch.manual_seed(course.seed)
    return course.profile.trunk().to(course.device).eval()


def pretrain(
    name: str,
    course: Course,
    data: CropDataset | LabelledImages,
    steps: int = 0,
    compiled: bool = False,
    rate: float = 0.0,
    batch: int = 0,
) -> Trained:
    """Train a method (`rotnet`, `supervised`, ...) on `data`, or load the training if the same one was done before.

    steps, rate, batch: of the training, its length, its highest learning rate, and the crops or pictures of a step; 0
    takes the recipe's for the profile.
    compiled: as in `fit`. "The same" is decided by a hash of everything that the outcome depends on: method, sizes,
    seed, recipe, the data's own pixels, and the code of the library: change a method, and it is trained again. A
    training that was interrupted goes on where it was when it is asked for again.
    Raises CourseError for an unknown method, for one that is not meant for the profile, and for less than 0 steps.
    """
    if steps < 0:
        raise CourseError(f"STEPS must be a whole number of 0 or more, and 0 takes the recipe's; got {steps}")
    distributed.join()
    recipe, facts, file = _plan(name, course, data, {"steps": steps, "learning_rate": rate, "batch": batch})
    path = runs_folder("trained") / file
    torch.manual_seed(course.seed)
    method = find_method(name).build(course.profile, data)
    if history := _load(path, method):
        print(f"{name}: loaded, as it was trained before with the same parameters ({len(history.loss)} steps)")
        return Trained(method.to(course.device).eval(), history, recipe, loaded=True)
    method.to(course.device)
    if isinstance(data, LabelledImages):
        data = data.to(course.device)
    checkpoints = Checkpoints(runs_folder("checkpoints") / file, hash_of(facts))
    history = fit(method, data, recipe, course.seed, name, checkpoints, compiled)
    if history.stopped is None:
        checkpoints.finish(path, _packed(method, history, facts))
    return Trained(method, history, recipe, loaded=False, seen=has_front_end())


def is_trained(name: str, course: Course, data: CropDataset | LabelledImages, steps: int = 0) -> bool:
    """Whether `pretrain` with the same arguments would load and not train."""
    return (runs_folder("trained") / _plan(name, course, data, {"steps": steps})[2]).is_file()


def _plan(
    name: str, course: Course, data: CropDataset | LabelledImages, given: dict[str, float]
) -> tuple[Recipe, dict[str, Any], str]:
    """The recipe of a training, the facts that decide its outcome, and the name of its file.

    given: parts to replace in the recipe; 0 leaves a part as it is.
    """
    recipe = replace(find_recipe(name, course.profile.name), **{part: value for part, value in given.items() if value})
    facts = {
        "code": hash_of_spine("training"),
        "method": name,
        "profile": asdict(course.profile),
        "seed": course.seed,
        "recipe": asdict(recipe),
        "data": describe_labelled(data) if isinstance(data, LabelledImages) else _describe_crops(data),
    }
    return recipe, facts, f"{name}-{hash_of(facts)}.safetensors"


def _describe_crops(data: CropDataset) -> dict[str, Any]:
    pixels = data.source.texels.cpu().numpy().tobytes()
    return {
        "source": data.source.name,
        "n": len(data.source),
        "pixels": hashlib.sha256(pixels).hexdigest(),
        "scheme": asdict(data.scheme),
        "d": len(data),
        "side": data.side,
        "seed": data.seed,
    }


def describe_labelled(data: LabelledImages) -> dict[str, Any]:
    """The name, the size and the hash of a labelled set's training part."""
    pixels = hashlib.sha256()
    for part in (*data.train_images.split(1_000), data.train_labels):  # they may be more than memory holds
        pixels.update(part.cpu().numpy().tobytes())
    return {"name": data.name, "n": len(data), "pixels": pixels.hexdigest()}


def hash_of(facts: dict[str, Any]) -> str:
    """A short name for everything that an outcome depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def hash_weights(module: nn.Module) -> str:
    """The hash of a network's weights and statistics."""
    content = b"".join(value.cpu().contiguous().numpy().tobytes() for value in module.state_dict().values())
    return hashlib.sha256(content).hexdigest()


def _packed(method: nn.Module, history: History, facts: dict[str, Any]) -> bytes:
    """A finished training as a file's content."""
    tensors = {f"method.{key}": value.contiguous() for key, value in method.state_dict().items()}
    numbers = {"seconds": history.seconds, "precision": history.precision}
    for key in ("loss", "accuracy", "film", "film_steps"):
        tensors[f"history.{key}"] = getattr(history, key).contiguous()
    return save(tensors, {"facts": json.dumps(facts), "history": json.dumps(numbers)})


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
