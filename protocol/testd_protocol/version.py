"""The version of this testd, and of the protocol that it speaks. Imported by every process; imports nothing."""

__version__ = "0.1.0"

#: Rises when an old process could misread a new one. Told in every `Hello`, `Welcome` and `Ready`.
PROTOCOL = 1

__all__ = ["PROTOCOL", "__version__"]
