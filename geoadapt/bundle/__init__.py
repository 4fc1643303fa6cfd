"""The bundle: a folder that is all one needs to run an adapted model. No pickle; every file is named with its sha256.

In: a trained model and plain data about it. Out: the folder, or from the folder the model, ready to run. ``card`` is
what ``bundle.json`` says, ``save`` writes the folder, ``load`` gives the model back, ``forecaster``
and ``restorer`` give those of their tasks with what they were tested against, ``readme`` is its page for people.
"""
