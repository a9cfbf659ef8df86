"""The figures that come back: one line per epoch while the training goes on, one summary when it is done."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import sklearn
import tensorflow as tf


class MetricsLog(keras.callbacks.Callback):
    """Append one JSON line per epoch, on disk at once: what is written survives whatever comes next."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.path.write_text("", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {name: round(float(value), 6) for name, value in (logs or {}).items() if math.isfinite(value)}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"epoch": epoch + 1, **figures}) + "\n")


def write_summary(path: Path, figures: Mapping[str, float], facts: Mapping[str, object], seconds: float) -> None:
    """Write the final figures, and what they were obtained with."""
    summary = {
        **{name: round(float(value), 6) for name, value in figures.items()},
        **facts,
        "seconds": round(seconds, 1),
        "device": device_name(),
        "versions": {
            "python": sys.version.split()[0],
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
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
