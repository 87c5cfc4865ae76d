"""What libos costs, each figure against a peer that is measured in the same run.

Rules:
- Samples of the subjects are interleaved (A, B, A, B, …): what else the machine does falls on all of them.
- A figure is given as median and 95th percentile. A ratio is the median of one over the median of the other.
- The peer does the same work: the same mounts, the same program, the same bytes.
- The table is for people, the JSON beside it for comparing runs; both name the machine.
"""
