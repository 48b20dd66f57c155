"""Comparisons on this machine, most of them side by side with other libraries.

`python -m tests.benchmarks.pyribs` and `python -m tests.benchmarks.neat_python` have the same network, or the
same genomes, on both sides, and print the comparison with its full budget; the tests beside them run it with
a tiny one. TensorNEAT and pureples do not install as packages.
"""
