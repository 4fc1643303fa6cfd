"""Running a bundle over scenes of any size: source → strips → tiles → model → blend → products → files.

In: scenes, a bundle, a configuration. Out: per scene a COG of labels and what belongs to it, an account of the job, and
on request the tiles most worth labelling next. Tiles (b, c, h, w), blended sums (k, n, w).
"""
