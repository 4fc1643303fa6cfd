"""Pages and pictures: tables, maps, charts and verdicts in one self-contained HTML style.

In: numbers, arrays and configurations. Out: parts (escaped HTML), a ``Page`` that holds them, and PNG quick-looks.
Every part escapes what it is given; a page needs no network, no script, no font.
"""
