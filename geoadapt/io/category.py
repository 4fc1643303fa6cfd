"""What a writer needs to know of a class; any object with these attributes will do."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Category"]


class Category(Protocol):
    """A label value with its name and colour as red, green, blue [0–255]."""

    @property
    def value(self) -> int:
        """The pixel value."""

    @property
    def name(self) -> str:
        """The class's name."""

    @property
    def colour(self) -> tuple[int, int, int]:
        """Red, green, blue [0–255]."""
