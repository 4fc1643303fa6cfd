"""geoadapt adapts frozen geospatial and weather foundation models."""

__version__ = "0.1.0"
