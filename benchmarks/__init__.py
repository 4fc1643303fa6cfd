"""Measurements: how fast and how good, beside a named peer or a physical limit, in one run."""
