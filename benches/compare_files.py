"""Two Parquet files, `driftline compare` over all of their columns, and the plain NumPy loop over some of them.

Every column is normal, with a spread and a centre of its own; every tenth one of the current file is moved by a
hundredth of its spread. The loop reads a column of both files at a time, cuts the reference at ten quantiles, counts
both sides with numpy.histogram, and computes PSI: no other statistic, no null, no verdict.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 500_000


def write(path, rows, columns, seed, shift):
    """A file of float32 columns, uncompressed, 500,000 rows a group."""
    random = np.random.default_rng(seed)
    schema = pa.schema([(f"f{i:03d}", pa.float32()) for i in range(columns)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for start in range(0, rows, CHUNK):
            base = random.standard_normal(min(CHUNK, rows - start), dtype=np.float32)
            arrays = []
            for i in range(columns):
                spread = np.float32(1 + i / 50)
                centre = np.float32(i) + (np.float32(shift) * spread if i % 10 == 0 else np.float32(0))
                arrays.append(pa.array(np.roll(base, 37 * i) * spread + centre))
            file.write_table(pa.table(arrays, schema=schema), row_group_size=CHUNK)


def files(folder, rows, columns):
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, seed, shift in [("reference", 1, 0.0), ("current", 2, 0.01)]:
        path = os.path.join(folder, f"{name}-{rows}-{columns}.parquet")
        if not os.path.exists(path):
            write(path + ".part", rows, columns, seed, shift)
            os.rename(path + ".part", path)
        paths.append(path)
    return paths


def psi(reference, current):
    edges = np.quantile(reference, np.linspace(0, 1, 11)[1:-1])
    edges = np.concatenate([[-np.inf], edges, [np.inf]])
    p = (np.histogram(reference, edges)[0] + 0.5) / (len(reference) + 5)
    q = (np.histogram(current, edges)[0] + 0.5) / (len(current) + 5)
    return float(np.sum((q - p) * np.log(q / p)))


def peer(reference, current, names):
    for name in names:
        ours, theirs = (pq.read_table(path, columns=[name])[name].to_numpy() for path in (reference, current))
        psi(ours, theirs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--driftline", required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--peer-columns", type=int, default=10)
    asked = parser.parse_args()
    reference, current = files(asked.folder, asked.rows, asked.columns)

    began = time.perf_counter()
    command = [asked.driftline, "compare", "--reference", reference, "--current", current, "--format", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    scores = sum(len(column["statistics"]) for column in report["columns"])
    drifted = sum(column["verdict"] == "drift" for column in report["columns"])
    read = report["reference"]["rows"] + report["current"]["rows"]
    print(
        f"driftline: {read:,} rows of {asked.columns} columns in {took:.1f} s: {read / took:,.0f} rows/s, "
        f"{read * asked.columns / took:,.0f} values/s; {used.ru_utime + used.ru_stime:.1f} CPU s, "
        f"{used.ru_maxrss / 1024:.0f} MiB; {scores} scores, {drifted} columns drift"
    )

    names = [f"f{i:03d}" for i in range(0, asked.columns, max(1, asked.columns // max(1, asked.peer_columns)))]
    names = names[: asked.peer_columns]
    if not names:
        return
    began, cpu = time.perf_counter(), time.process_time()
    peer(reference, current, names)
    loop, cpu = time.perf_counter() - began, time.process_time() - cpu
    per_column = (used.ru_utime + used.ru_stime) / asked.columns
    print(
        f"NumPy loop, PSI alone: {len(names)} columns in {loop:.1f} s, {cpu / len(names):.2f} CPU s a column; "
        f"driftline with all its statistics and nulls {per_column:.2f} CPU s a column: {cpu / len(names) / per_column:.2f}×"
    )


if __name__ == "__main__":
    sys.exit(main())
