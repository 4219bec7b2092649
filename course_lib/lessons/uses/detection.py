"""Faster R-CNN on a trunk of the course: what its features are worth where objects have to be found, not only named.

Ren, He, Girshick and Sun, "Faster R-CNN", NeurIPS 2015, as torchvision builds it; only the network below is ours.
Taught in notebook 11.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from course_lib.lessons.uses.precision import Boxes, Found
from course_lib.lessons.uses.voc import BoxedPictures
from course_lib.networks.alexnet import AlexNet
from course_lib.networks.trunk import forget_statistics
from course_lib.pretext.method import Batch, Method, Recipe
from course_lib.probes.frozen import freeze
from course_lib.profiles import Course
from course_lib.support.files import hash_of_spine, runs_folder
from course_lib.training.checkpoints import Checkpoints
from course_lib.training.loop import fit
from course_lib.training.steps import History
from course_lib.training.trained import hash_of, hash_weights

_RATIOS = (0.5, 1.0, 2.0)  # height / width of the anchors
_LAST = 10  # steps whose mean accuracy is printed
_AT_ONCE = 8  # pictures in a batch at test time
_SETTLE = 64  # pictures that BatchNorm's statistics are measured on


@dataclass(frozen=True)
class Size:
    """How large a detector is at one profile.

    shortest, longest: pixels that a picture's sides are resized to: 600 and 1,000 in the paper, whose network has a
    stride of 16; one with a stride of 4 sees as much in a smaller picture. anchors: sides in pixels of the anchor
    boxes. pooled: cells per side that a proposal is read in. hidden: units of the head's two layers. proposals: per
    picture, that go on to the head. frozen: layers that are not trained, from the first.
    """

    shortest: int
    longest: int
    anchors: tuple[int, ...]
    pooled: int
    hidden: int
    proposals: int
    frozen: int


SIZES = {
    "quick": Size(96, 160, (20, 32, 48), pooled=5, hidden=128, proposals=100, frozen=5),
    "standard": Size(192, 320, (16, 32, 64, 128), pooled=7, hidden=1_024, proposals=500, frozen=2),
    "paper": Size(600, 1_000, (64, 128, 256, 512), pooled=7, hidden=1_024, proposals=2_000, frozen=1),
}


class LastMap(nn.Module):
    """A trunk as torchvision's detectors take one: pictures (n, 3, h, w) in, the map of its last layer out."""

    def __init__(self, trunk: AlexNet) -> None:
        super().__init__()
        self.trunk = trunk
        device = next(trunk.parameters()).device
        with torch.no_grad():
            self.out_channels = self(torch.zeros(1, 3, trunk.side, trunk.side, device=device)).shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """(n, out_channels, height, width)."""
        (features,) = self.trunk.features(images, self.trunk.layers[-1:]).values()
        return features


class Detector(Method):
    """Faster R-CNN above a trunk.

    trunk: its first `size.frozen` layers are frozen and the others fine-tuned. As is usual where few pictures make a
    batch, training does not change its BatchNorm statistics; `settle` measures them once. classes: names of labels 1, 2
    and so on.
    """

    RECIPES = {
        "quick": Recipe(steps=160, batch=4, learning_rate=0.003, optimiser="adam"),
        "standard": Recipe(steps=4_000, batch=16, learning_rate=0.02),
        "paper": Recipe(steps=40_000, batch=16, learning_rate=0.01, schedule="three drops"),
    }

    def __init__(self, trunk: AlexNet, classes: Sequence[str], size: Size) -> None:
        super().__init__()
        self.classes = tuple(classes)
        body = LastMap(freeze(trunk.eval().requires_grad_(True), size.frozen))
        self.network = FasterRCNN(
            body,
            min_size=size.shortest,
            max_size=size.longest,
            image_mean=[0.5] * 3,  # so that the trunk sees [-1, 1], as ever
            image_std=[0.5] * 3,
            rpn_anchor_generator=AnchorGenerator((size.anchors,), (_RATIOS,)),
            rpn_pre_nms_top_n_train=2 * size.proposals,
            rpn_pre_nms_top_n_test=size.proposals,
            rpn_post_nms_top_n_train=size.proposals,
            rpn_post_nms_top_n_test=size.proposals // 2,
            rpn_batch_size_per_image=64,
            box_roi_pool=MultiScaleRoIAlign(["0"], size.pooled, 2),
            box_head=TwoMLPHead(body.out_channels * size.pooled**2, size.hidden),
            box_predictor=FastRCNNPredictor(size.hidden, 1 + len(classes)),
            box_batch_size_per_image=64,
        )

    @property
    def trunk(self) -> AlexNet:
        """The network below."""
        return self.network.backbone.trunk

    def train(self, mode: bool = True) -> Detector:
        """As any module's, except that the trunk's BatchNorms keep their statistics.

        On a CPU in float32, channels come first, whatever was fastest at another precision and size.
        """
        super().train(mode)
        self.trunk.eval()
        if next(self.parameters()).device.type == "cpu":
            self.to(memory_format=torch.contiguous_format)
        return self

    def loss(self, data: BoxedPictures, batch: Batch) -> tuple[Tensor, Tensor]:
        """The sum of the four losses of Faster R-CNN: of proposals whether and where, of boxes what and where. With it,
        in place of an accuracy, the probability given to the right class, a geometric mean over boxes.

        Each picture is mirrored half of the time; difficult objects are left out.
        """
        mirrored = (batch.uniform(1)[:, 0] < 0).tolist()
        pairs = [_example(data, i, flip) for i, flip in zip(batch.index.tolist(), mirrored)]
        device = batch.index.device
        images = [image.to(device) for image, _ in pairs]
        targets = [{"boxes": true.boxes.to(device), "labels": true.labels.to(device)} for _, true in pairs]
        # torchvision draws boxes from torch's generator; here they depend on (seed, example) alone.
        own = int(np.random.SeedSequence((batch.seed, batch.first)).generate_state(1)[0])
        generators = torch.random.fork_rng([device] if device.type == "cuda" else [])
        with generators, torch.autocast(device.type, enabled=False):  # boxes want all of float32
            torch.manual_seed(own)
            losses = self.network(images, targets)
        return sum(losses.values()), (-losses["loss_classifier"].detach()).exp()

    @torch.no_grad()
    def settle(self, data: BoxedPictures) -> None:
        """Measure the trunk's BatchNorm statistics again, on training pictures without their boxes.

        Otherwise the comparison would be of the features' scale: an untrained network's are a tenth as large, and a
        trained one's statistics are those of its own pictures.
        """
        self.trunk.train()
        forget_statistics(self.trunk)
        for first in range(0, min(_SETTLE, len(data)), _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, len(data)))
            self.network.backbone(self.network.transform(self._pictures(data, some))[0].tensors)
        self.eval()

    def _pictures(self, data: BoxedPictures, which: Sequence[int]) -> list[Tensor]:
        """In [0, 1], on the network's device."""
        device = next(self.parameters()).device
        return [data.picture(i).to(device) / 255 for i in which]

    @torch.inference_mode()
    def detect(self, data: BoxedPictures) -> list[Found]:
        """What it finds in each picture, on the CPU; at most 100 boxes each, with scores of at least 0.05."""
        self.eval()
        found = []
        for first in range(0, len(data), _AT_ONCE):
            answers = self.network(self._pictures(data, range(first, min(first + _AT_ONCE, len(data)))))
            found += [Found(*(one[key].cpu() for key in Found._fields)) for one in answers]
        return found


def train_detector(
    name: str, trunk: AlexNet, data: BoxedPictures, course: Course, steps: int = 0
) -> tuple[Detector, History]:
    """Train a detector above a copy of a trunk; the detector, and the history of its training.

    name: of the trunk, for what is printed. steps: 0 takes the recipe's. Layers that are not frozen start from the
    trunk's weights. The training is kept: the same call again goes on where it was, which is the end unless it was
    stopped.
    """
    recipe, size = Detector.RECIPES[course.profile.name], SIZES[course.profile.name]
    recipe = replace(recipe, steps=steps or recipe.steps)
    facts = {"recipe": asdict(recipe), "size": asdict(size), "profile": asdict(course.profile), "seed": course.seed}
    truth = [(path, true.boxes.tolist(), true.labels.tolist()) for path, true in zip(data.files.images, data.truth)]
    facts |= {"trunk": hash_weights(trunk), "data": (data.classes, truth)}
    key = hash_of(facts | {"code": hash_of_spine("probes", "lessons/uses")})
    torch.manual_seed(course.seed)
    detector = Detector(copy.deepcopy(trunk), data.classes, size).to(course.device)
    detector.settle(data)
    kept = Checkpoints(runs_folder("detectors") / f"{key}.safetensors", key)
    title, shown = f"detector on {name}", course.profile.gpu  # where it takes longer than drawing it
    history = fit(detector, data, recipe, course.seed, title, kept, shown=shown)
    if not shown:
        print(f"{title}: {len(history.loss)} steps, accuracy of the task {history.accuracy[-_LAST:].mean():.2f}")
    return detector, history


def _example(data: BoxedPictures, i: int, flip: bool) -> tuple[Tensor, Boxes]:
    """A training picture in [0, 1] and what is in it, mirrored or not."""
    image, true = data.picture(i) / 255, data.truth[i].easy
    if not flip:
        return image, true
    return image.flip(2), true._replace(boxes=mirrored(true.boxes, image.shape[2]))


def mirrored(boxes: Tensor, width: int) -> Tensor:
    """Boxes (n, 4) as they are in the mirror image of a picture of this width."""
    left, top, right, bottom = boxes.unbind(1)
    return torch.stack([width - right, top, width - left, bottom], 1)
