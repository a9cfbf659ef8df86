"""Train a recurrent network to forecast tomorrow's price, and measure it against the simplest forecast there is."""

import argparse
import csv
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
import tensorflow as tf

VAL_PART, TEST_PART = 0.15, 0.15  # of the days, at the end: a forecast is judged on days that came later
SMALLEST_SAMPLE = 300  # days


class Prices(NamedTuple):
    """Dates and closing prices, oldest first."""

    dates: list[str]
    usd: np.ndarray


class Windows(NamedTuple):
    """What the network sees and should say: past daily changes (count, window, 1) and the change that followed, scaled."""

    past: np.ndarray
    following: np.ndarray


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
    """Run the whole job: data, model, training, forecast, results."""
    started = time.perf_counter()
    settings = read_arguments()
    keras.utils.set_random_seed(settings.seed)
    epochs = max(1, round(settings.epochs * settings.sample))

    prices = read_prices(settings.data, settings.sample)
    train, val, test_days = split_by_time(prices.usd, settings.window)
    print(
        f"{len(train.past)} days to train on, {len(val.past)} to validate, {len(test_days)} to test, {epochs} epochs",
        flush=True,
    )

    continue_or_start_over(settings)
    model = build_model(settings.window, settings.units, settings.learning_rate)
    fit(model, train, val, epochs, settings)

    model.save(settings.results / "model.keras")
    forecast = forecast_prices(model, prices.usd, test_days, settings.window)
    write_forecast(settings.results / "forecast.csv", prices, test_days, forecast)
    figures = evaluate(model, train, val) | judge(prices.usd, test_days, forecast)
    write_summary(settings.results / "metrics.json", figures, epochs, settings.sample, time.perf_counter() - started)
    print(
        f"mean absolute error over {len(test_days)} test days: model ${figures['model_error_usd']:.3f}, "
        f"last price ${figures['last_price_error_usd']:.3f} ({figures['improvement_percent']:+.1f} %)",
        flush=True,
    )
    if settings.sample == 1 and figures["improvement_percent"] < settings.least_improvement:
        sys.exit(f"the model is not {settings.least_improvement} % better than repeating the last price: it did not learn")


def read_arguments() -> argparse.Namespace:
    """Read the command line; every setting has a default that works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/prices.csv"), help="CSV with the columns date and price")
    parser.add_argument("--window", type=int, default=20, help="days the network looks back")
    parser.add_argument("--units", type=int, default=32, help="size of the recurrent layer")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the training days")
    parser.add_argument("--batch-size", type=int, default=64, help="windows per step")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="step size of the Adam optimizer")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same start")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for all that comes back")
    parser.add_argument(
        "--least-improvement", type=float, default=10.0, help="fail when a full training beats the last price by fewer percent"
    )
    parser.add_argument(
        "--sample",
        type=fraction,
        default=os.environ.get("CLOUDTRAIN_SAMPLE") or "1",
        help="train on this fraction of days (the latest) and epochs, for a first try",
    )
    return parser.parse_args()


def fraction(text: str) -> float:
    """Turn an argument into a number above 0 and up to 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 1")
    return value


def read_prices(path: Path, sample: float) -> Prices:
    """Read the latest part of the series."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["date"], float(row["price"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as problem:
        sys.exit(f"{path} cannot be used: expected the columns date and price ({problem!r})")
    rows = rows[-max(SMALLEST_SAMPLE, round(len(rows) * sample)) :]
    usd = np.array([price for _, price in rows])
    if len(rows) < SMALLEST_SAMPLE or not np.isfinite(usd).all() or (usd <= 0).any():
        sys.exit(f"{path} cannot be used: expected at least {SMALLEST_SAMPLE} prices, all above zero")
    return Prices([day for day, _ in rows], usd)


def split_by_time(usd: np.ndarray, window: int) -> tuple[Windows, Windows, range]:
    """Cut the days into a training, a validation and a test part, in that order; return the last as day numbers."""
    first_val = round(len(usd) * (1 - VAL_PART - TEST_PART))
    first_test = round(len(usd) * (1 - TEST_PART))
    train = windows_for(usd, range(window + 1, first_val), window)
    val = windows_for(usd, range(first_val, first_test), window)
    return train, val, range(first_test, len(usd))


def windows_for(usd: np.ndarray, days: range, window: int) -> Windows:
    """Pair each day's change with the changes of the `window` days before it. Nothing of the day itself is seen."""
    changes = np.diff(np.log(usd), prepend=np.log(usd[0])) * 100  # in percent, which keeps the numbers near 1
    past = np.stack([changes[day - window : day] for day in days])
    return Windows(past[..., np.newaxis].astype("float32"), changes[days.start : days.stop].astype("float32"))


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


def build_model(window: int, units: int, learning_rate: float) -> keras.Model:
    """Build the network: one GRU that reads the window, one number that comes out."""
    model = keras.Sequential(
        [keras.Input(shape=(window, 1)), keras.layers.GRU(units), keras.layers.Dense(1)],
        name="price_gru",
    )
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="mse", metrics=["mae"])
    return model


def fit(model: keras.Model, train: Windows, val: Windows, epochs: int, settings: argparse.Namespace) -> None:
    """Train, saving enough after every epoch to go on from there."""
    model.fit(
        train.past,
        train.following,
        validation_data=(val.past, val.following),
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


def evaluate(model: keras.Model, train: Windows, val: Windows) -> dict[str, float]:
    """Measure the finished model on the scaled changes it was trained on, and on those it was not."""
    loss, mae = model.evaluate(train.past, train.following, verbose=0)
    val_loss, val_mae = model.evaluate(val.past, val.following, verbose=0)
    if not math.isfinite(loss) or not math.isfinite(val_loss):
        sys.exit("the training diverged: the loss is no longer a number. Try a smaller --learning-rate")
    return {"loss": loss, "mae": mae, "val_loss": val_loss, "val_mae": val_mae}


def forecast_prices(model: keras.Model, usd: np.ndarray, days: range, window: int) -> np.ndarray:
    """Forecast the price of each of those days from what was known the day before."""
    change_percent = model.predict(windows_for(usd, days, window).past, verbose=0)[:, 0]
    return usd[days.start - 1 : days.stop - 1] * np.exp(change_percent / 100)


def judge(usd: np.ndarray, days: range, forecast: np.ndarray) -> dict[str, float]:
    """Compare the model's mean absolute error with that of saying: tomorrow costs what today costs."""
    truth, last_price = usd[days.start : days.stop], usd[days.start - 1 : days.stop - 1]
    model_error = float(np.abs(forecast - truth).mean())
    last_price_error = float(np.abs(last_price - truth).mean())
    return {
        "model_error_usd": model_error,
        "last_price_error_usd": last_price_error,
        "improvement_percent": 100 * (1 - model_error / last_price_error),
    }


def write_forecast(path: Path, prices: Prices, days: range, forecast: np.ndarray) -> None:
    """Write one row per test day: the truth, the model's forecast, and the last price as a forecast."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["date", "price", "forecast", "last_price"])
        for day, value in zip(days, forecast, strict=True):
            rows.writerow([prices.dates[day], f"{prices.usd[day]:.2f}", f"{value:.2f}", f"{prices.usd[day - 1]:.2f}"])


def write_summary(path: Path, figures: dict[str, float], epochs: int, sample: float, seconds: float) -> None:
    """Write the final figures, and what they were obtained with."""
    summary = {
        **{name: round(float(value), 6) for name, value in figures.items()},
        "epochs": epochs,
        "sample": sample,
        "seconds": round(seconds, 1),
        "device": device_name(),
        "versions": {"python": sys.version.split()[0], "tensorflow": tf.__version__, "keras": keras.__version__},
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
