"""Statistics that add over chunks, and the scores that are finished from them.

In: predictions and targets on the same grid. Out: sums first, scores last: an archive and one image use one code.
"""
