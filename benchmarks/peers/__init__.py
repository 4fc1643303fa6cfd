"""Peers: published programs measured on the same pixels. Each lives in a side environment and is never imported here.

``NAME.txt`` pins what its environment holds, ``call_NAME.py`` runs inside it (it sees no module of this project), and
``python -m benchmarks.peers.NAME`` sets it up, hands it scenes as arrays, and scores what comes back.
"""
