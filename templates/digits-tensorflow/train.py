"""Train a small convolutional network on handwritten digits and leave the model and its figures in results/."""

import argparse
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # must be set before TensorFlow is imported: hides its start-up chatter

import keras
import numpy as np
import sklearn
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CLASSES = 10
SMALLEST_SAMPLE = 200  # images; fewer than this and a class may be missing from the validation part


class Split(NamedTuple):
    """Images (count, 8, 8, 1) scaled to 0..1, and their digits, in two parts that share no image."""

    train_images: np.ndarray
    val_images: np.ndarray
    train_labels: np.ndarray
    val_labels: np.ndarray


class MetricsLog(keras.callbacks.Callback):
    """Append one JSON line per epoch, on disk at once: what is written survives whatever comes next."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {name: round(float(value), 6) for name, value in (logs or {}).items() if math.isfinite(value)}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"epoch": epoch + 1, **figures}) + "\n")


def main() -> None:
    """Run the whole job: data, model, training, results."""
    started = time.perf_counter()
    settings = read_arguments()
    keras.utils.set_random_seed(settings.seed)
    epochs = max(1, round(settings.epochs * settings.sample))

    split = load_split(settings.sample, settings.seed)
    print(f"{len(split.train_images)} images to train on, {len(split.val_images)} to validate, {epochs} epochs", flush=True)

    continue_or_start_over(settings)
    model = build_model(settings.learning_rate)
    fit(model, split, epochs, settings)

    model.save(settings.results / "model.keras")
    figures = evaluate(model, split)
    write_summary(settings.results / "metrics.json", figures, epochs, settings.sample, time.perf_counter() - started)
    print(f"val_accuracy {figures['val_accuracy']:.4f} after {epochs} epochs on {device_name()}", flush=True)
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


def load_split(sample: float, seed: int) -> Split:
    """Load the digits that scikit-learn carries, take the wanted part of them and hold a fifth back for validation."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., np.newaxis]
    labels = digits.target.astype("int64")
    if not np.isfinite(images).all() or set(np.unique(labels)) != set(range(CLASSES)):
        sys.exit("the digits are damaged: expected finite images of ten classes")

    wanted = max(SMALLEST_SAMPLE, round(len(images) * sample))
    if wanted < len(images):
        images, _, labels, _ = train_test_split(images, labels, train_size=wanted, stratify=labels, random_state=seed)
    return Split(*train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=seed))


def continue_or_start_over(settings: argparse.Namespace) -> None:
    """Keep what an interrupted training with the same settings left in the results folder; otherwise clear the way."""
    wanted = {name: str(value) for name, value in vars(settings).items()}
    settings_file = settings.results / "checkpoint" / "settings.json"
    if settings_file.is_file() and json.loads(settings_file.read_text(encoding="utf-8")) == wanted:
        print("continuing the training that was interrupted", flush=True)
        return
    for folder in ("checkpoint", "tensorboard"):
        shutil.rmtree(settings.results / folder, ignore_errors=True)
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text(json.dumps(wanted), encoding="utf-8")
    (settings.results / "metrics.jsonl").write_text("", encoding="utf-8")


def build_model(learning_rate: float) -> keras.Model:
    """Build the network: two convolutions, one pooling, one hidden layer."""
    model = keras.Sequential(
        [
            keras.Input(shape=(8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ],
        name="digits_cnn",
    )
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: keras.Model, split: Split, epochs: int, settings: argparse.Namespace) -> None:
    """Train, saving enough after every epoch to go on from there."""
    model.fit(
        split.train_images,
        split.train_labels,
        validation_data=(split.val_images, split.val_labels),
        epochs=epochs,
        batch_size=settings.batch_size,
        verbose=2,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            MetricsLog(settings.results / "metrics.jsonl"),
            keras.callbacks.TensorBoard(settings.results / "tensorboard"),
            # Last, so that no epoch counts as done before its figures are on disk. Removed when the training is complete.
            keras.callbacks.BackupAndRestore(settings.results / "checkpoint", double_checkpoint=True),
        ],
    )


def evaluate(model: keras.Model, split: Split) -> dict[str, float]:
    """Measure the finished model on both parts."""
    loss, accuracy = model.evaluate(split.train_images, split.train_labels, verbose=0)
    val_loss, val_accuracy = model.evaluate(split.val_images, split.val_labels, verbose=0)
    if not math.isfinite(loss) or not math.isfinite(val_loss):
        sys.exit("the training diverged: the loss is no longer a number. Try a smaller --learning-rate")
    return {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}


def write_summary(path: Path, figures: dict[str, float], epochs: int, sample: float, seconds: float) -> None:
    """Write the final figures, and what they were obtained with."""
    summary = {
        **{name: round(float(value), 6) for name, value in figures.items()},
        "epochs": epochs,
        "sample": sample,
        "seconds": round(seconds, 1),
        "device": device_name(),
        "versions": {
            "python": sys.version.split()[0],
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def device_name() -> str:
    """Name what TensorFlow computes on: the first GPU it sees, otherwise the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")


if __name__ == "__main__":
    main()
