"""Train a small convolutional network on handwritten digits with PyTorch and leave the model and its figures in results/."""

import argparse
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

# Must be set before PyTorch is imported: threads that wait give the processor away, which others on the machine may need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

CLASSES = 10
SMALLEST_SAMPLE = 200  # images; fewer than this and a class may be missing from the validation part


class Part(NamedTuple):
    """Images (count, 1, 8, 8) scaled to 0..1, and their digits, on the device that computes."""

    images: torch.Tensor
    labels: torch.Tensor


def main() -> None:
    """Run the whole job: data, model, training, results."""
    started = time.perf_counter()
    settings = read_arguments()
    torch.manual_seed(settings.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    epochs = max(1, round(settings.epochs * settings.sample))

    train, val = load_parts(settings.sample, settings.seed, device)
    print(f"{len(train.images)} images to train on, {len(val.images)} to validate, {epochs} epochs", flush=True)

    model = build_model().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    figures = fit(model, optimizer, train, val, epochs, settings)

    torch.save(model.state_dict(), settings.results / "model.pt")
    write_summary(settings.results / "metrics.json", figures, epochs, settings.sample, device, time.perf_counter() - started)
    shutil.rmtree(checkpoint_file(settings.results).parent)
    print(f"val_accuracy {figures['val_accuracy']:.4f} after {epochs} epochs on {device_name(device)}", flush=True)
    if settings.sample == 1 and figures["val_accuracy"] < settings.least_accuracy:
        sys.exit(f"val_accuracy {figures['val_accuracy']:.4f} is below {settings.least_accuracy}: the model did not learn")


def read_arguments() -> argparse.Namespace:
    """Read the command line; every setting has a default that works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training images")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="step size of the Adam optimizer")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same split and the same start")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for all that comes back")
    parser.add_argument("--least-accuracy", type=float, default=0.9, help="fail when a full training ends below this")
    parser.add_argument(
        "--sample",
        type=fraction,
        default=os.environ.get("CLOUDTRAIN_SAMPLE") or "1",
        help="train on this fraction of images and epochs, for a first try",
    )
    return parser.parse_args()


def fraction(text: str) -> float:
    """Turn an argument into a number above 0 and up to 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 1")
    return value


def load_parts(sample: float, seed: int, device: torch.device) -> tuple[Part, Part]:
    """Load the digits that scikit-learn carries, take the wanted part of them and hold a fifth back for validation."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[:, np.newaxis]
    labels = digits.target.astype("int64")
    if not np.isfinite(images).all() or set(np.unique(labels)) != set(range(CLASSES)):
        sys.exit("the digits are damaged: expected finite images of ten classes")

    wanted = max(SMALLEST_SAMPLE, round(len(images) * sample))
    if wanted < len(images):
        images, _, labels, _ = train_test_split(images, labels, train_size=wanted, stratify=labels, random_state=seed)
    cut = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=seed)
    train_images, val_images, train_labels, val_labels = (torch.from_numpy(array).to(device) for array in cut)
    return Part(train_images, train_labels), Part(val_images, val_labels)


def build_model() -> nn.Module:
    """Build the network: two convolutions, one pooling, one hidden layer."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


def fit(
    model: nn.Module, optimizer: torch.optim.Optimizer, train: Part, val: Part, epochs: int, settings: argparse.Namespace
) -> dict[str, float]:
    """Train from the last complete epoch on, saving enough after every one to go on from there; return the last figures."""
    done, figures = continue_or_start_over(model, optimizer, settings)
    for epoch in range(done + 1, epochs + 1):
        train_one_epoch(model, optimizer, train, settings.batch_size)
        loss, accuracy = evaluate(model, train)
        val_loss, val_accuracy = evaluate(model, val)
        if not math.isfinite(loss) or not math.isfinite(val_loss):
            shutil.rmtree(checkpoint_file(settings.results).parent)
            sys.exit("the training diverged: the loss is no longer a number. Try a smaller --learning-rate")
        figures = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
        log_metrics(settings.results / "metrics.jsonl", epoch, figures)
        save_checkpoint(model, optimizer, epoch, figures, settings)
    return figures


def train_one_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, train: Part, batch_size: int) -> None:
    """Show the network every training image once, in a new order."""
    model.train()
    for batch in torch.randperm(len(train.images), device=train.images.device).split(batch_size):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train.images[batch]), train.labels[batch]).backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model: nn.Module, part: Part) -> tuple[float, float]:
    """Return the mean loss and the accuracy on one part."""
    model.eval()
    scores = model(part.images)
    loss = nn.functional.cross_entropy(scores, part.labels).item()
    return loss, (scores.argmax(dim=1) == part.labels).float().mean().item()


def log_metrics(path: Path, epoch: int, figures: dict[str, float]) -> None:
    """Append one JSON line, on disk at once: what is written survives whatever comes next."""
    rounded = {name: round(value, 6) for name, value in figures.items()}
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"epoch": epoch, **rounded}) + "\n")
    print(f"epoch {epoch}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)


def checkpoint_file(results: Path) -> Path:
    """Return where the state of an unfinished training is kept."""
    return results / "checkpoint" / "latest.pt"


def save_checkpoint(
    model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int, figures: dict[str, float], settings: argparse.Namespace
) -> None:
    """Write the whole state beside the old one, then put it in its place: at any moment one of them is complete."""
    state = {
        "settings": as_text(settings),
        "epoch": epoch,
        "figures": figures,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    path = checkpoint_file(settings.results)
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def continue_or_start_over(
    model: nn.Module, optimizer: torch.optim.Optimizer, settings: argparse.Namespace
) -> tuple[int, dict[str, float]]:
    """Load what an interrupted training with the same settings left; return its complete epochs and their last figures."""
    path = checkpoint_file(settings.results)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] == as_text(settings):
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            print(f"continuing the training that was interrupted after epoch {state['epoch']}", flush=True)
            return state["epoch"], state["figures"]
    (settings.results / "metrics.jsonl").write_text("", encoding="utf-8")
    return 0, {}


def as_text(settings: argparse.Namespace) -> dict[str, str]:
    """Return the settings in a form that compares equal when they are."""
    return {name: str(value) for name, value in vars(settings).items()}


def write_summary(
    path: Path, figures: dict[str, float], epochs: int, sample: float, device: torch.device, seconds: float
) -> None:
    """Write the final figures, and what they were obtained with."""
    summary = {
        **{name: round(value, 6) for name, value in figures.items()},
        "epochs": epochs,
        "sample": sample,
        "seconds": round(seconds, 1),
        "device": device_name(device),
        "versions": {"python": sys.version.split()[0], "torch": str(torch.__version__), "scikit-learn": sklearn.__version__},
    }
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def device_name(device: torch.device) -> str:
    """Name what PyTorch computes on."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


if __name__ == "__main__":
    main()
