"""A pretend AWS: moto's server on loopback, made as strict as the real EC2 where money or machines hang on it."""

from .cloud import AwsCloud

__all__ = ["AwsCloud"]
