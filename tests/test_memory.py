"""Forward passes use the memory of those before them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from concurrent.futures import ThreadPoolExecutor
from statistics import median
import torch
from islands.classifiers.registry import load_classifier

classifier = load_classifier("efficientnet-lite0", device=torch.device("cpu"))
images = torch.zeros((16, 3, 224, 224), dtype=torch.uint8)

def score():
    torch.set_num_threads(1)
    classifier.predict(images)

def faults(run):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def typical(run):
    return int(median(faults(run) for _ in range(9)))  # the first passes find their places

with ThreadPoolExecutor(1) as pool:
    print(typical(score), typical(lambda: pool.submit(score).result()))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told anything")
def test_forward_passes_ask_the_system_for_no_memory() -> None:
    """On the main thread and on others; by default the same pass has more than 100,000 page faults."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert all(int(faults) < 1_000 for faults in done.stdout.split()), done.stdout
