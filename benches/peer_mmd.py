#!/usr/bin/env python3
"""The same MMD permutation test in NumPy: what a careful person writes, to stand beside `driftline bench gpu`.

One stored float32 kernel matrix from one GEMM, and all permutations as one batched float32 GEMM: with labels z in
{0, 1}, z'Kz for every labelling is the row sums of (Z K) * Z, and row sums of K give the rest.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS=2 python3 benches/peer_mmd.py [n] [dims] [permutations]

Prints JSON: seconds of each of five rounds, their median, and the parts of the last one.
"""

import json
import os
import statistics
import sys
import time

import numpy as np


def mmd2_all(x, y, sigma, labels):
    parts = {}
    start = time.perf_counter()
    points = np.concatenate([x, y])
    points -= np.median(points, axis=0)
    points *= np.float32(np.sqrt(0.5) / sigma)
    squares = np.einsum("ij,ij->i", points, points)
    kernel = points @ points.T
    kernel *= 2
    kernel -= squares[:, None]
    kernel -= squares[None, :]
    np.minimum(kernel, 0, out=kernel)
    parts["distances"] = time.perf_counter() - start
    np.exp(kernel, out=kernel)
    np.fill_diagonal(kernel, 0)
    parts["kernel"] = time.perf_counter() - start
    inner = np.einsum("ij,ij->i", labels @ kernel, labels, dtype=np.float64)
    parts["permutations"] = time.perf_counter() - start
    rows = kernel.sum(axis=1, dtype=np.float64)
    n, m = len(x), len(y)
    across = labels.astype(np.float64) @ rows - inner
    other = rows.sum() - inner - 2 * across
    parts["end"] = time.perf_counter() - start
    return inner / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m), parts


def main():
    n, dims, permutations = (int(a) for a in (sys.argv[1:] + ["4096", "32", "100"][len(sys.argv) - 1 :]))
    random = np.random.default_rng(1)
    x = random.standard_normal((n, dims), dtype=np.float32)
    y = random.standard_normal((n, dims), dtype=np.float32)
    true = np.concatenate([np.ones(n, np.float32), np.zeros(n, np.float32)])
    labels = np.stack([true] + [random.permutation(true) for _ in range(permutations)])
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        values, parts = mmd2_all(x, y, np.sqrt(dims), labels)
        seconds.append(time.perf_counter() - start)
    json.dump(
        {
            "numpy": np.__version__,
            "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
            "n": n,
            "dims": dims,
            "permutations": permutations,
            "mmd2": float(values[0]),
            "seconds": seconds,
            "median_seconds": statistics.median(seconds),
            "until": parts,
        },
        sys.stdout,
        indent=1,
    )
    print()


if __name__ == "__main__":
    main()
