"""Sets `cargo bench --bench statistics` beside what people write with NumPy and SciPy, as one Markdown table.

Run by statistics-beside-numpy, which makes its environment. Both sides get the same sizes, the same distribution, a
reference that is ready (sorted, or counted), and one thread. They are measured in turn, round after round, because the
machine's speed changes meanwhile. Where NumPy has several ways, the one that is fastest here is taken.
"""

import argparse
import re
import shlex
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np
import scipy
from scipy import stats
from scipy.special import rel_entr

SIZES = (10_000, 1_000_000)
CELLS = (10, 256)
SHIFT = 0.1
# A sample of a fast function is repeated until it takes this long.
SAMPLE_SECONDS = 1e-3
UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}


# From counts of the same bins: a and b, each with its total.
def occupied_shares(a, b):
    seen = (a > 0) | (b > 0)
    a, b = a[seen] + 0.5, b[seen] + 0.5
    return a / a.sum(), b / b.sum()


def psi(a, b):
    p, q = occupied_shares(a, b)
    return np.sum((q - p) * np.log(q / p))


def kl(a, b):
    p, q = occupied_shares(a, b)
    return np.sum(q * np.log(q / p))


def js(a, b):
    p, q = a / a.sum(), b / b.sum()
    r = (p + q) / 2
    return np.sqrt((rel_entr(p, r).sum() + rel_entr(q, r).sum()) / (2 * np.log(2)))


def chi_squared(a, b):
    n, m = a.sum(), b.sum()
    r = (a + b) / (n + m)
    r[r == 0] = 1
    return np.sum((a / n - b / m) ** 2 / r) * n * m / (n + m)


def g_test(a, b):
    n, m = a.sum(), b.sum()
    r = (a + b) / (n + m)
    return 2 * (rel_entr(a, n * r).sum() + rel_entr(b, m * r).sum())


OF_COUNTS = {
    "psi": psi,
    "js": js,
    "l_infinity": lambda a, b: np.abs(a / a.sum() - b / b.sum()).max(),
    "chi_squared": chi_squared,
    "ks": lambda a, b: np.abs(np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum()).max(),
    "hellinger": lambda a, b: np.sqrt(np.sum((np.sqrt(a / a.sum()) - np.sqrt(b / b.sum())) ** 2) / 2),
    "kl": kl,
    "tv": lambda a, b: np.abs(a / a.sum() - b / b.sum()).sum() / 2,
    "g_test": g_test,
    "cramers_v": lambda a, b: np.sqrt(chi_squared(a, b) / (a.sum() + b.sum())),
}


def wasserstein_of_cells(edges, a, b, ends_a, ends_b, deviation):
    """Both distribution functions linear inside each cell."""
    z = np.unique(np.concatenate([edges, ends_a, ends_b]))
    gap = 0
    for counts, (low, high), sign in ((a, ends_a, -1), (b, ends_b, 1)):
        ends = np.concatenate([[low], np.clip(edges, low, high), [high]])
        rising = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
        gap = gap + sign * np.interp(z, ends, rising)
    x, y = gap[:-1], gap[1:]
    crossing = (x * x + y * y) / np.maximum(2 * np.abs(x - y), 1e-300)
    heights = np.where(x * y >= 0, (np.abs(x) + np.abs(y)) / 2, crossing)
    return np.sum(heights * np.diff(z)) / deviation


# Of rows, both sides sorted.
def ks_by_search(a, b):
    n, m = len(a), len(b)
    at_a = np.abs(np.arange(1, n + 1) / n - np.searchsorted(b, a, "right") / m)
    at_b = np.abs(np.arange(1, m + 1) / m - np.searchsorted(a, b, "right") / n)
    return max(at_a.max(), at_b.max())


def ks_by_merge(a, b):
    z, f, g = merged(a, b)
    last = np.append(np.diff(z) > 0, True)
    return np.abs(f - g)[last].max()


def merged(a, b):
    z = np.concatenate([a, b])
    # Merges the two ascending runs.
    order = np.argsort(z, kind="stable")
    of_a = np.cumsum(order < len(a))
    return z[order], of_a / len(a), (np.arange(1, len(z) + 1) - of_a) / len(b)


def searched(a, b):
    z = np.concatenate([a, b])
    z.sort(kind="stable")
    return z, np.searchsorted(a, z, "right") / len(a), np.searchsorted(b, z, "right") / len(b)


def area(functions, height):
    def of(a, b):
        z, f, g = functions(a, b)
        return np.sum(height(f[:-1] - g[:-1]) * np.diff(z))

    return of


def median_shift(a, b):
    difference, squares = np.median(b) - np.median(a), 0
    for x in (a, b):
        reach = stats.norm.ppf(0.975) * np.sqrt(len(x)) / 2
        low, high = int(np.floor(len(x) / 2 - reach)), int(np.ceil(len(x) / 2 + reach))
        squares += ((x[high - 1] - x[low - 1]) / 2) ** 2
    return difference, difference - np.sqrt(squares), difference + np.sqrt(squares)


def welch(a, b):
    found = stats.ttest_ind(b, a, equal_var=False)
    return found.pvalue, found.confidence_interval(0.95)


# Name: (forms, whether they want the current rows sorted). SciPy's own functions sort for themselves.
OF_ROWS = {
    "ks": ([ks_by_search, ks_by_merge], True),
    "wasserstein": ([area(searched, np.abs), area(merged, np.abs)], True),
    "energy": ([lambda a, b, f=f: np.sqrt(2 * area(f, np.square)(a, b)) for f in (searched, merged)], True),
    "cramer_von_mises": ([lambda a, b: stats.cramervonmises_2samp(a, b, method="asymptotic")], False),
    "anderson_darling": ([lambda a, b: stats.anderson_ksamp([a, b], variant="midrank")], False),
    "mann_whitney": ([lambda a, b: stats.mannwhitneyu(a, b, method="asymptotic")], False),
    "welch_t": ([welch], False),
    "variance_shift": ([lambda a, b: stats.levene(a, b, center="median")], False),
    "quantile_shift": ([median_shift], True),
}

# Rows counted between edges.
def histogram(edges, x):
    return np.histogram(x, np.concatenate([[-np.inf], edges, [np.inf]]))[0]


def searched_edges(edges, x):
    return np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1)


def edges_in_sorted(edges, x):
    return np.diff(np.searchsorted(np.sort(x), edges), prepend=0, append=len(x))


COUNTINGS = {
    "np.histogram": histogram,
    "np.searchsorted of the rows in the edges": searched_edges,
    "np.searchsorted of the edges in np.sort": edges_in_sorted,
}


def samples(n):
    random = np.random.default_rng(1)
    return random.normal(size=n), random.normal(SHIFT, 1, n)


def edges_of(sorted_rows, cells):
    return sorted_rows[np.arange(1, cells) * len(sorted_rows) // cells]


def fastest(forms, *arguments):
    """The form that is fastest in a short trial."""
    if len(forms) == 1:
        return forms[0]
    return min(forms, key=lambda form: min(timed(lambda: form(*arguments), 0.05)))


def peers():
    """The peer of each measure: path in the bench's output → function without arguments."""
    found = {}
    for cells in CELLS:
        reference, current = samples(100_000)
        edges = edges_of(np.sort(reference), cells)
        a, b = (searched_edges(edges, x) for x in (reference, current))
        ends_a, ends_b = ((x.min(), x.max()) for x in (reference, current))
        mean_a, mean_b, deviation = reference.mean(), current.mean(), reference.std(ddof=1)
        for name, of in OF_COUNTS.items():
            found[f"counted/{cells}/{name}"] = lambda of=of, a=a, b=b: of(a, b)
        found[f"counted/{cells}/wasserstein"] = lambda *, edges=edges, a=a, b=b: wasserstein_of_cells(
            edges, a, b, ends_a, ends_b, deviation
        )
        found[f"counted/{cells}/mean_shift"] = lambda: (mean_b - mean_a) / deviation
    for n in SIZES:
        found.update(peers_of_rows(n))
    for n in (1_000, 10_000):
        a, b = samples(n)
        found[f"ks_p_exact_of_unequal_sizes/{n}"] = lambda a=a, b=b[1:]: stats.ks_2samp(a, b, method="exact")
    for k in (10, 1000):
        i = np.arange(k)
        table = np.array([1000 + i * 37 % 101, 1000 + i * 53 % 97])
        found[f"chi_squared_of_categories/{k}"] = lambda table=table: stats.chi2_contingency(table)
    for k in (50, 10_000):
        p = np.arange(k) * 7919 % k / k
        found[f"benjamini_hochberg_of_columns/{k}"] = lambda p=p: stats.false_discovery_control(p)
    return found


def peers_of_rows(n):
    found = {}
    reference, current = samples(n)
    a, b = np.sort(reference), np.sort(current)
    for name, (forms, wants_sorted) in OF_ROWS.items():
        of = fastest(forms, a, b)
        found[f"sorted/{n}/{name}"] = lambda of=of: of(a, b)
        found[f"rows/{n}/{name}"] = (lambda of=of: of(a, np.sort(current))) if wants_sorted else (
            lambda of=of: of(a, current)
        )
    found[f"sort/{n}"] = lambda: np.sort(current)
    distance = ks_by_search(a, b)
    found[f"ks_p_asymptotic/{n}"] = lambda: stats.kstwo.sf(distance, round(n / 2))

    edges = edges_of(a, 256)
    counting = fastest(COUNTINGS.values(), edges, current)
    counts = searched_edges(edges, reference)
    ends, mean, deviation = (a[0], a[-1]), a.mean(), a.std(ddof=1)
    for name, of in OF_COUNTS.items():
        found[f"profiled/{n}/{name}"] = lambda of=of: of(counts, counting(edges, current))
    found[f"profiled/{n}/wasserstein"] = lambda: wasserstein_of_cells(
        edges, counts, counting(edges, current), ends, (current.min(), current.max()), deviation
    )
    found[f"profiled/{n}/mean_shift"] = lambda: (current.mean() - mean) / deviation
    found[f"count_into_profile/{n}"] = lambda: (
        counting(edges, current),
        np.isnan(current).sum(),
        current.min(),
        current.max(),
        current.mean(),
        current.var(ddof=1),
    )
    # Our whole profile again, beside the cells alone. What follows # is a note and no part of the path.
    for name, form in COUNTINGS.items():
        found[f"count_into_profile/{n}#cells alone: {name}"] = lambda form=form: form(edges, current)
    return found


def timed(function, seconds):
    """Seconds of one call, as often as `seconds` allows but at least three times."""
    start = time.perf_counter()
    function()
    once = time.perf_counter() - start
    repeats = max(1, round(SAMPLE_SECONDS / max(once, 1e-9)))
    found, end = [], start + seconds
    while len(found) < 3 or (time.perf_counter() < end and len(found) < 100):
        start = time.perf_counter()
        for _ in range(repeats):
            function()
        found.append((time.perf_counter() - start) / repeats)
    return found


def measured(output):
    """What divan's tree says: path → (fastest, median) in seconds."""
    found, path = {}, []
    for line in output.splitlines():
        match = re.match(r"([ │├╰─]+)(\S+)(.*)", line)
        if not match:
            continue
        depth = len(match[1]) // 3
        path[depth - 1 :] = [match[2]]
        times = re.findall(r"([\d.]+) (ns|µs|us|ms|s)\b", match[3])
        if len(times) == 4:
            fast, _, median, _ = (float(number) * UNITS[unit] for number, unit in times)
            found["/".join(path)] = (fast, median)
    return found


def text(seconds):
    for unit in ("s", "ms", "µs"):
        if seconds >= UNITS[unit]:
            return f"{seconds / UNITS[unit]:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(ours, theirs):
    """Both sizes of a measure in one line: medians, times faster by them and, in brackets, by the fastest samples."""
    lines = {}
    for key, peer in theirs.items():
        path, _, note = key.partition("#")
        measure, size, *name = path.split("/")
        medians = [statistics.median(median for _, median in side) for side in (ours[path], peer)]
        least = [min(fast for fast, _ in side) for side in (ours[path], peer)]
        cells = [*map(text, medians), f"{times(medians)} ({times(least)})"]
        sizes, found = lines.setdefault((measure, *(name or [note])), ([], []))
        sizes.append(f"{int(size):,}")
        found.extend(cells)
    head = "| measure | statistic | sizes | driftline | peer | × | driftline | peer | × |\n" + "|---" * 9 + "|"
    rows = [" | ".join([*key, " / ".join(sizes), *cells]) for key, (sizes, cells) in lines.items()]
    return "\n".join([head, *(f"| {row} |" for row in rows)])


def times(pair):
    ratio = pair[1] / pair[0]
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="cargo bench --locked --bench statistics --", help="what runs the bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each measure of each side in each round")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    ours, theirs = {}, {}
    command = [*shlex.split(options.ours), "--color", "never", "--max-time", str(options.seconds)]
    functions = peers()
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for path, times in measured(output).items():
            ours.setdefault(path, []).append(times)
        for path, function in functions.items():
            found = timed(function, options.seconds)
            theirs.setdefault(path, []).append((min(found), statistics.median(found)))

    missing = {path.split("#")[0] for path in theirs} ^ ours.keys()
    missing -= {f"sort_by_comparison/{n}" for n in SIZES}
    if missing:
        sys.exit(f"measured on one side only: {sorted(missing)}")
    python = sys.version.split()[0]
    print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, Python {python}, {options.rounds} rounds\n")
    print(table(ours, theirs))


if __name__ == "__main__":
    main()
