"""Which backbone and adapter is worth what, on which data: run records, scores of capability groups, honest intervals.

In: the records of runs. Out: scores with what is known of them; what is missing stays missing. No torch in here but in
what runs a benchmark.
"""
