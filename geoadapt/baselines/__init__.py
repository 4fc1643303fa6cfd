"""The simple models that every claim stands beside.

In: reflectance (b, c, h, w). Out: class scores (b, k, h, w) 0–1, through the same engine as any other model.
"""
