// Rows and errors of both sides in every slice of two binned features. Twin: src/compute/worst_slice.rs. Before
// reductions.wgsl or subgroups.wgsl.
//
// A workgroup takes one pair of features and some rows, counts in its own memory, and adds what is not 0 to the pair's
// table: integers, so that no order matters.

struct Params {
    rows: u32,
    features: u32,
    first_part: u32,
    pairs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// By feature: bins of four rows in a word, the first row in the lowest byte.
@group(0) @binding(1) var<storage, read> bins: array<u32>;
// Two bits a row: 1 for the window (0 the reference), 2 for an error. 16 rows in a word.
@group(0) @binding(2) var<storage, read> flags: array<u32>;
// Pairs of features, the first in the lower half.
@group(0) @binding(3) var<storage, read> pairs: array<u32>;
// By pair, bin of the first, bin of the second: a word for each value of the two bits.
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

const THREADS: u32 = 256u;
// Rows of a part.
const ROWS: u32 = 16384u;
// Bins of a feature.
const BINS: u32 = 16u;
const CELLS: u32 = 1024u;

var<workgroup> own: array<atomic<u32>, 1024>;

fn run(group: vec3<u32>, thread: u32) {
    for (var at = thread; at < CELLS; at += THREADS) {
        atomicStore(&own[at], 0u);
    }
    workgroupBarrier();
    let pair = pairs[group.y];
    let words = (params.rows + 3u) / 4u;
    let first = (pair & 0xffffu) * words;
    let second = (pair >> 16u) * words;
    let start = (params.first_part + group.x) * ROWS;
    let end = min(start + ROWS, params.rows);
    for (var row = start + thread; row < end; row += THREADS) {
        let shift = 8u * (row % 4u);
        let a = (bins[first + row / 4u] >> shift) & 0xffu;
        let b = (bins[second + row / 4u] >> shift) & 0xffu;
        let flag = (flags[row / 16u] >> (2u * (row % 16u))) & 3u;
        let at = ((a * BINS + b) << 2u) | flag;
        let count = to_add(at);
        if count > 0u {
            atomicAdd(&own[at], count);
        }
    }
    workgroupBarrier();
    for (var at = thread; at < CELLS; at += THREADS) {
        let count = atomicLoad(&own[at]);
        if count > 0u {
            atomicAdd(&counts[group.y * CELLS + at], count);
        }
    }
}
