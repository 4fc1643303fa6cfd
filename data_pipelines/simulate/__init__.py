"""Simulated cloudy scenes with known truth: terrain, land cover, air, clouds and their shadows, a sensor.

In: sizes and seeds, or a clear image to put clouds over. Out: reflectance (c, h, w) and labels (h, w), or a folder of
GeoTIFFs that say so themselves. The physics is simple on purpose: two streams, no bidirectional effects, flat clouds.
"""
