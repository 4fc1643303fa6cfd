"""Simulated cloudy scenes with known truth: terrain, land cover, clouds and their shadows, a sensor.

In: sizes and seeds. Out: reflectance (c, h, w) and labels (h, w), or a folder of GeoTIFFs that say so themselves.
The physics is simple on purpose: one light path, no bidirectional effects, clouds without sides.
"""
