"""Speed and memory as ratios: each module prints a table and, as its last line, one JSON object."""
