"""Fine-tune a pre-trained image network in two phases: first a new head on frozen features, then the top block as well."""

import argparse
import math
import os
import sys
import time
from pathlib import Path

# Both must be set before Keras is imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from backbone import Backbone, small_backbone, vgg16_backbone
from digits import Split, load_split
from metrics import MetricsLog, device_name, write_summary

FINE_TUNE_CLASSES = (5, 6, 7, 8, 9)  # the backbone has never seen these


def main() -> None:
    """Run the whole job: backbone, frozen phase, fine-tuning phase, results."""
    started = time.perf_counter()
    settings = read_arguments()
    keras.utils.set_random_seed(settings.seed)
    settings.results.mkdir(parents=True, exist_ok=True)

    backbone = get_backbone(settings)
    split = load_split(FINE_TUNE_CLASSES, settings.sample, settings.seed)
    print(f"{len(split.train_images)} images to fine-tune on, {len(split.val_images)} to validate", flush=True)

    model = build_classifier(backbone)
    log = MetricsLog(settings.results / "metrics.jsonl")
    frozen_epochs = scaled(settings.frozen_epochs, settings.sample)
    total_epochs = frozen_epochs + scaled(settings.tuned_epochs, settings.sample)

    print("phase 1: a new head on frozen features", flush=True)
    backbone.network.trainable = False
    fit(model, split, range(frozen_epochs), settings.head_rate, log)
    head_only = evaluate(model, split)

    print(f"phase 2: {backbone.top_block} too, with a small learning rate", flush=True)
    unfreeze_top_block(backbone)
    fit(model, split, range(frozen_epochs, total_epochs), settings.tune_rate, log)
    figures = evaluate(model, split) | {"head_only_val_accuracy": head_only["val_accuracy"]}

    model.save(settings.results / "model.keras")
    facts = {"backbone": backbone.origin, "epochs": total_epochs, "sample": settings.sample}
    write_summary(settings.results / "metrics.json", figures, facts, time.perf_counter() - started)
    print(
        f"val_accuracy {head_only['val_accuracy']:.4f} with the head alone, {figures['val_accuracy']:.4f} fine-tuned, "
        f"on {device_name()}",
        flush=True,
    )
    if settings.sample == 1 and figures["val_accuracy"] < settings.least_accuracy:
        sys.exit(f"val_accuracy {figures['val_accuracy']:.4f} is below {settings.least_accuracy}: the model did not learn")


def read_arguments() -> argparse.Namespace:
    """Read the command line; every setting has a default that works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--weights",
        type=Path,
        default=os.environ.get("WEIGHTS") or None,
        help="VGG16 weights without the top, as keras.applications reads them; without it a small backbone is pre-trained here",
    )
    parser.add_argument(
        "--pretrain-epochs", type=int, default=8, help="epochs for the small backbone, when there are no weights"
    )
    parser.add_argument("--frozen-epochs", type=int, default=6, help="epochs of phase 1")
    parser.add_argument("--tuned-epochs", type=int, default=6, help="epochs of phase 2")
    parser.add_argument("--head-rate", type=float, default=2e-3, help="learning rate of phase 1")
    parser.add_argument(
        "--tune-rate", type=float, default=2e-4, help="learning rate of phase 2: small, or the features are lost"
    )
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


def scaled(epochs: int, sample: float) -> int:
    """Return the part of the epochs that a sample asks for, at least one."""
    return max(1, round(epochs * sample))


def get_backbone(settings: argparse.Namespace) -> Backbone:
    """Read VGG16 from the weights file when there is one; otherwise pre-train, or find pre-trained, a small network."""
    if settings.weights is not None:
        return vgg16_backbone(settings.weights)
    epochs = scaled(settings.pretrain_epochs, settings.sample)
    return small_backbone(settings.results / "pretraining", epochs, settings.sample, settings.seed)


def build_classifier(backbone: Backbone) -> keras.Model:
    """Put a new head on the backbone."""
    images = keras.Input(shape=(32, 32, 3))
    features = backbone.network(backbone.prepare(images))
    flat = keras.layers.Dropout(0.3)(keras.layers.Flatten()(features))
    hidden = keras.layers.Dense(64, activation="relu")(flat)
    return keras.Model(images, keras.layers.Dense(len(FINE_TUNE_CLASSES), activation="softmax")(hidden), name="fine_tuned")


def unfreeze_top_block(backbone: Backbone) -> None:
    """Let the last block learn again; what stands below it has the general features and stays as it is."""
    backbone.network.trainable = True
    for layer in backbone.network.layers:
        layer.trainable = layer.name.startswith(backbone.top_block)


def fit(model: keras.Model, split: Split, epochs: range, learning_rate: float, log: MetricsLog) -> None:
    """Train through those epochs. Compiling anew is what makes a change of `trainable` count."""
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        split.train_images,
        split.train_labels,
        validation_data=(split.val_images, split.val_labels),
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        batch_size=32,
        verbose=2,
        callbacks=[keras.callbacks.TerminateOnNaN(), log],
    )


def evaluate(model: keras.Model, split: Split) -> dict[str, float]:
    """Measure the model as it is now on both parts."""
    loss, accuracy = model.evaluate(split.train_images, split.train_labels, verbose=0)
    val_loss, val_accuracy = model.evaluate(split.val_images, split.val_labels, verbose=0)
    if not math.isfinite(loss) or not math.isfinite(val_loss):
        sys.exit("the training diverged: the loss is no longer a number. Try a smaller --head-rate or --tune-rate")
    return {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}


if __name__ == "__main__":
    main()
