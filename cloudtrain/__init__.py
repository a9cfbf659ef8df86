"""cloudtrain: rent a cloud GPU from a laptop, train on it, and give it back."""

__version__ = "0.1.0"
