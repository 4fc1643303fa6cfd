"""What another library's error says, in one line for a message of our own."""

from __future__ import annotations

__all__ = ["reason"]


def reason(said: object) -> str:
    """The first line with words of what an error or a warning says; its kind where it says nothing."""
    lines = (line.strip() for line in str(said).splitlines())
    return next((line for line in lines if line), type(said).__name__)
