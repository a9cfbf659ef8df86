"""What is fine-tuned: VGG16 from a weights file, or a small network of its kind that is pre-trained on the spot."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
from digits import load_split
from metrics import MetricsLog

PRETRAIN_CLASSES = (0, 1, 2, 3, 4)


class Backbone(NamedTuple):
    """A network that turns images into features.

    `prepare` maps pixels from 0 to 255 to what the network was trained on; the names of its last layers begin with `top_block`.
    """

    network: keras.Model
    prepare: Callable[[Any], Any]
    top_block: str
    origin: str


def vgg16_backbone(weights: Path) -> Backbone:
    """Build VGG16 without its top and read its weights from a file."""
    if not weights.is_file():
        sys.exit(f"there is no weights file {weights}; it travels with the job when it lies in the job's folder")
    try:
        network = keras.applications.VGG16(include_top=False, weights=str(weights), input_shape=(32, 32, 3))
    except (OSError, ValueError, KeyError) as problem:
        sys.exit(f"{weights} does not hold VGG16 weights without the top: {problem}")
    return Backbone(network, keras.applications.vgg16.preprocess_input, "block5", f"VGG16 from {weights.name}")


def small_backbone(folder: Path, epochs: int, sample: float, seed: int) -> Backbone:
    """Pre-train a small network on the digits 0 to 4, or read it when an earlier run with the same settings left it there."""
    settings = {"epochs": epochs, "sample": sample, "seed": seed}
    weights, settings_file = folder / "backbone.weights.h5", folder / "settings.json"
    network = build_network()
    if settings_file.is_file() and json.loads(settings_file.read_text(encoding="utf-8")) == settings:
        print("the small backbone is already pre-trained", flush=True)
        network.load_weights(weights)
    else:
        print(f"no --weights given: pre-training a small backbone on the digits {PRETRAIN_CLASSES}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        settings_file.unlink(missing_ok=True)
        pretrain(network, folder / "metrics.jsonl", epochs, sample, seed)
        network.save_weights(weights)
        settings_file.write_text(json.dumps(settings), encoding="utf-8")  # last: says that the weights are whole
    return Backbone(network, keras.layers.Rescaling(1 / 255), "block3", "small network, pre-trained on the digits 0 to 4")


def build_network() -> keras.Model:
    """Build three blocks in the manner of VGG16: two convolutions and a pooling each, wider as the picture shrinks."""
    images = features = keras.Input(shape=(32, 32, 3))
    for block, filters in enumerate((16, 32, 64), start=1):
        for number in (1, 2):
            convolution = keras.layers.Conv2D(
                filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"block{block}_conv{number}"
            )
            features = convolution(features)
        features = keras.layers.MaxPooling2D(name=f"block{block}_pool")(features)
    return keras.Model(images, features, name="small_backbone")


def pretrain(network: keras.Model, metrics_file: Path, epochs: int, sample: float, seed: int) -> None:
    """Train the network under a head that is thrown away afterwards."""
    split = load_split(PRETRAIN_CLASSES, sample, seed)
    images = keras.Input(shape=(32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(network(keras.layers.Rescaling(1 / 255)(images)))
    model = keras.Model(images, keras.layers.Dense(len(PRETRAIN_CLASSES), activation="softmax")(pooled))
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        split.train_images,
        split.train_labels,
        validation_data=(split.val_images, split.val_labels),
        epochs=epochs,
        batch_size=32,
        verbose=2,
        callbacks=[keras.callbacks.TerminateOnNaN(), MetricsLog(metrics_file)],
    )
    if not math.isfinite(model.evaluate(split.val_images, split.val_labels, verbose=0)[0]):
        sys.exit("the pre-training diverged: the loss is no longer a number")
