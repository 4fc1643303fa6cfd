"""Adapters on small backbones of every kind."""
