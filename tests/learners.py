"""What a learner writes into the course's notebooks: right answers in words of its own, and typical mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ANSWERS = {
    "00": {
        "area_share": "return width * height / (image_width * image_height)",
        "smallest_side": "area = beta * image_width * image_height\n    return area**0.5",
        "points_above": "mean, least = sum(shares) / len(shares), sum(floor) / len(floor)\n"
        "    return (mean - least) * 100",
    },
    "01": {
        "crop_size": "return (area / ratio) ** 0.5, (area * ratio) ** 0.5",
        "bounding_box": "c, s = angle.cos().abs(), angle.sin().abs()\n"
        "    return width * c + height * s, width * s + height * c",
        "flip_map": "maps = torch.eye(2).repeat(len(flipped), 1, 1)\n    maps[flipped, 0, 0] = -1\n    return maps",
        "colour_map": "grey = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)\n    s = saturation[:, None, None]\n"
        "    mix = (s * torch.eye(3) + (1 - s) * grey) * (brightness * contrast)[:, None, None]\n"
        "    rest = ((1 - contrast) * brightness * mean_grey)[:, None, None].expand(-1, 3, 1)\n"
        "    return torch.cat([mix, rest], 2)",
    },
    "02": {
        "four_turns": "return torch.cat([images.rot90(k, (2, 3)) for k in range(4)])",
        "turn_loss": "n = len(logits) // 4\n    turns = torch.tensor([k for k in range(4) for _ in range(n)])\n"
        "    turns = turns.to(logits.device)\n"
        "    right = logits.log_softmax(1).gather(1, turns[:, None])\n"
        "    return -right.mean(), (logits.argmax(1) == turns).sum() / len(turns)",
        "turned_maps": "right, down, centre = affine.unbind(2)\n    for _ in range(quarter_turns):\n"
        "        right, down = down, -right\n    return torch.stack([right, down, centre], 2)",
    },
    "03": {
        "nearest": "return ((x[:, None] - centres) ** 2).sum(2).argmin(1)",
        "nmi": "pairs = torch.unique(torch.stack([a, b], 1), dim=0, return_inverse=True)[1]\n"
        "    h, k = entropy(a), entropy(b)\n    return (h + k - entropy(pairs)) / (h * k) ** 0.5",
        "balanced": "n = torch.bincount(labels)\n    return 1.0 / (n[labels] * (n > 0).sum())",
    },
    "04": {
        "game": "f, one = F.binary_cross_entropy_with_logits, torch.ones_like(real)\n    none = 0 * one\n"
        "    return f(real, one) + f(made, none), f(real, none) + f(made, one)",
        "found_again": "a, b = images.flatten(1), again.flatten(1)\n    own = torch.arange(len(a), device=a.device)\n"
        "    return (torch.cdist(a, b).argmin(1) == own).float().mean()",
        "spread": "a, b = ((x - x.mean(0)).square().mean(0).sqrt().mean() for x in (made, real))\n    return a / b",
    },
    "05": {
        "fold_batchnorm": "return filters * (gain / (variance + eps) ** 0.5).view(-1, 1, 1, 1)",
        "effective_rank": "rows = filters.flatten(1)\n    gram = rows @ rows.T\n"
        "    return float(gram.trace() ** 2 / (gram * gram).sum())",
        "matched_similarity": "a, b = (x.flatten(1) / x.flatten(1).norm(dim=1, keepdim=True) for x in (one, other))\n"
        "    alike = (a @ b.T).abs()\n    rows, columns = linear_sum_assignment(-alike.numpy())\n"
        "    return float(alike[rows, columns].mean())",
    },
    "06": {
        "standardise": "m, s = train.mean(0), train.std(0) + 1e-5\n    return (train - m) / s, (test - m) / s",
        "pool_side": "_, channels, height, _ = maps.shape\n    s = 1\n"
        "    while s < height and channels * (s + 1) ** 2 <= numbers:\n        s += 1\n    return s",
        "probe_loss": "scores = x @ weights[:-1] + weights[-1]\n"
        "    wrong = -scores.log_softmax(1)[torch.arange(len(y), device=y.device), y].mean()\n"
        "    return wrong + decay * (weights[:-1] ** 2).sum() / 2",
    },
    "07": {
        "freeze": "for number in range(1, depth + 1):\n        layer = getattr(trunk, f'conv{number}')\n"
        "        layer.eval()\n        for weight in layer.parameters():\n            weight.requires_grad = False\n"
        "    return trunk",
        "first_order": "f, b = torch.fft.fft2, torch.fft.ifft2\n"
        "    return b(f(abs(b(f(images) * wave))) * window).real",
        "same_order": "import numpy as np\n    n = len(one)\n"
        "    a, b = (np.sign(np.subtract.outer(v, v)) for v in (one, other))\n"
        "    return float((1 + (a * b).sum() / (n * (n - 1))) / 2)",
    },
    "08": {
        "paired": "both = [seed for seed in one.index if seed in other.index]\n    return one[both] - other[both]",
        "interval": "x = pd.Series(points)\n    reach = stdtrit(len(x) - 1, 0.975) * x.sem()\n"
        "    return x.mean() - reach, x.mean() + reach",
        "above": 'return "holds" if low > bound else "undecided" if high > bound else "fails"',
    },
    "09": {
        "spread_out": "chosen = [0]\n    while len(chosen) < count:\n"
        "        apart = (candidates[:, None] != candidates[chosen]).sum(2)\n"
        "        chosen.append(int(apart.amin(1).argmax()))\n    return torch.tensor(chosen)",
        "normalise": "x = tiles - tiles.mean((2, 3), keepdim=True)\n"
        "    return x / (x.square().mean((2, 3), keepdim=True) + 1e-8) ** 0.5",
        "nce": "own, noise = (near - offset).sigmoid(), (far - offset).sigmoid()\n"
        "    return (-own.log() - (1 - noise).log().sum(1)).mean()",
        "moved": "mixed = momentum * rows + (1 - momentum) * embedding\n"
        "    return mixed / mixed.norm(dim=1, keepdim=True)",
    },
    "10": {
        "parameters_below": "counts = [m * t // g * k * k + m + m for t, m, k, g in convolutions]\n"
        "    return [sum(counts[:n]) for n in range(1, len(counts) + 1)]",
        "read_at": "import numpy as np\n    return float(np.interp(depth, depths, shares))",
        "reached": "way, gone = supervised - random, trained - random\n    return gone / way",
    },
    "11": {
        "gram": "n, c, h, w = maps.shape\n    return torch.einsum('nihw,njhw->nij', maps, maps) / (h * w)",
        "precision_at": "a = queries / queries.norm(dim=1, keepdim=True)\n"
        "    b = gallery / gallery.norm(dim=1, keepdim=True)\n"
        "    order = (a @ b.T).argsort(1, descending=True)[:, :k]\n"
        "    return float((gallery_labels[order] == labels[:, None]).float().mean())",
        "overlap": "rows = []\n    for a in boxes.tolist():\n        rows.append([])\n"
        "        for b in others.tolist():\n            wide = max(0, min(a[2], b[2]) - max(a[0], b[0]))\n"
        "            high = max(0, min(a[3], b[3]) - max(a[1], b[1]))\n"
        "            both = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))\n"
        "            rows[-1].append(wide * high / (both - wide * high))\n    return torch.tensor(rows)",
        "average_precision": "n, area, best = len(right), 0.0, 0.0\n    hits = right.int().cumsum(0).tolist()\n"
        "    for i in reversed(range(n)):\n        best = max(best, hits[i] / (i + 1))\n"
        "        area += best * bool(right[i]) / positives\n    return area",
    },
    "12": {
        "objective": "found = (1 - (positive @ weights + bias)).clamp(min=0)\n"
        "    passed = (1 + (negatives @ weights + bias)).clamp(min=0)\n"
        "    return weights @ weights / 2 + C1 * found + C2 * passed.sum()",
        "whiten": "return torch.linalg.inv(covariance) @ (positive - mean)",
        "correlate": "f = torch.fft.fft2\n    spectrum = f(image) * f(template, s=image.shape).conj()\n"
        "    return torch.fft.ifft2(spectrum).real",
    },
    "13": {
        "neighbours": "a, b = grey[:, :-1].flatten().double(), grey[:, 1:].flatten().double()\n"
        "    a, b = a - a.mean(), b - b.mean()\n    scale = (a.square().sum() * b.square().sum()).sqrt()\n"
        "    return float((a * b).sum() / scale) if scale > 1e-9 else 0.0",
        "beaten": "return [name for name, seeds in zip(names, accuracies) if all(mine > one for one in seeds)]",
        "brier": "return sum((s - int(r)) ** 2 for s, r in zip(sure, right)) / len(sure)",
    },
}
"""What a learner may write, in words of its own; never the library's functions."""


STUB = re.compile(r"(def (\w+)\((.*?)\).*?\n.*\n)    \.\.\.")
"""Of an exercise: up to its docstring's end; its name; its parameters."""


def answered(path: Path, body: Callable[[str, str, str], str]) -> NotebookNode:
    """A notebook in which every exercise has a body, given the exercise's id and its function's name and parameters."""
    notebook = nbformat.read(path, 4)
    for cell in exercises(notebook):
        (key,) = re.findall(r"check\(\"([^\"]+)\"", cell.source)
        cell.source, count = STUB.subn(lambda m, key=key: f"{m[1]}    {body(key, m[2], m[3])}", cell.source)
        assert count == 1, f"{key} has no stub"
    return notebook


def tagged(notebook: NotebookNode, tag: str) -> NotebookNode:
    """The first cell with this tag."""
    return next(cell for cell in notebook.cells if tag in cell.metadata.get("tags", []))


def exercises(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells in which a learner answers."""
    return [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]


def right_answers(path: Path) -> NotebookNode:
    """A notebook with a right answer to each of its exercises."""
    own = ANSWERS[path.stem[:2]]
    return answered(path, lambda _, name, __: own[name])


def a_mistake(key: str, name: str, parameters: str) -> str:
    """The first of an exercise's typical mistakes."""
    given = ", ".join(part.partition(":")[0].strip() for part in re.split(r",\s*(?![^\[]*\])", parameters))
    known = f"__import__('course_lib.exercises').exercises.find_exercise({key!r}).mistakes"
    return f"return next(iter({known}.values()))({given})"
