"""The pictures: scikit-learn's handwritten digits, drawn large enough and in colour, as an image network expects them."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

ENLARGE = 4  # 8 x 8 pixels become 32 x 32, the smallest VGG16 takes
SMALLEST_SAMPLE = 100  # images; fewer than this and a class may be missing from the validation part


class Split(NamedTuple):
    """Images (count, 32, 32, 3) from 0 to 255, and their classes from 0, in two parts that share no image."""

    train_images: np.ndarray
    val_images: np.ndarray
    train_labels: np.ndarray
    val_labels: np.ndarray


def load_split(classes: Sequence[int], sample: float, seed: int) -> Split:
    """Load those digits, take the wanted part of them and hold a fifth back for validation."""
    digits = load_digits()
    chosen = np.isin(digits.target, classes)
    images, labels = digits.images[chosen], np.searchsorted(classes, digits.target[chosen])
    if not np.isfinite(images).all() or len(np.unique(labels)) != len(classes):
        sys.exit(f"the digits are damaged: expected finite images of {len(classes)} classes")

    wanted = max(SMALLEST_SAMPLE, round(len(images) * sample))
    if wanted < len(images):
        images, _, labels, _ = train_test_split(images, labels, train_size=wanted, stratify=labels, random_state=seed)
    return Split(*train_test_split(draw_large(images), labels, test_size=0.2, stratify=labels, random_state=seed))


def draw_large(images: np.ndarray) -> np.ndarray:
    """Enlarge grey 8 x 8 images with values from 0 to 16 to 32 x 32 with three equal colours from 0 to 255."""
    large = images.repeat(ENLARGE, axis=1).repeat(ENLARGE, axis=2) * (255 / 16)
    return np.repeat(large[..., np.newaxis], 3, axis=-1).astype("float32")
