"""The fit: Lightning drives it, chips feed it, checkpoints let it go on; and the verdict against the controls.

In: a checked JobConfig. Out: a run folder: config, metrics, curves, bundle, page.
"""
