// Cells of all columns in one dispatch. Twin: src/compute/histogram.rs. Before
// reductions.wgsl or subgroups.wgsl.
//
// A number is the two words of an f64, low word first. Each workgroup counts some rows of one column in its own
// memory, and adds what is not 0 to the column's counts: integers, so that no order matters.

struct Params {
    columns: u32,
    // Places of a column in `values`.
    rows: u32,
    first_part: u32,
    parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec2<u32>>;
// By column: number of edges, key of the domain's low and high end, keys of the edges, filled up.
@group(0) @binding(2) var<storage, read> edges: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

const THREADS: u32 = 256u;
// Rows of a part.
const ROWS: u32 = 16384u;
const MAX_EDGES: u32 = 255u;
const STRIDE: u32 = 264u;
const BELOW: u32 = 256u;
const ABOVE: u32 = 257u;
const NAN: u32 = 258u;
const POSITIVE_INFINITY: u32 = 259u;
const NEGATIVE_INFINITY: u32 = 260u;

var<workgroup> own: array<atomic<u32>, 264>;
var<workgroup> keys: array<vec2<u32>, 258>;

fn less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// An integer of 64 bits that is in the order of numbers; −0 and 0 are one.
fn key(value: vec2<u32>) -> vec2<u32> {
    if value.y == 0x80000000u && value.x == 0u {
        return vec2(0u, 0x80000000u);
    }
    if (value.y >> 31u) == 1u {
        return ~value;
    }
    return vec2(value.x, value.y | 0x80000000u);
}

fn place(value: vec2<u32>) -> u32 {
    let size = value.y & 0x7fffffffu;
    if size >= 0x7ff00000u {
        if size > 0x7ff00000u || value.x != 0u {
            return NAN;
        }
        return select(NEGATIVE_INFINITY, POSITIVE_INFINITY, (value.y >> 31u) == 0u);
    }
    let wanted = key(value);
    if less(wanted, keys[1]) {
        return BELOW;
    }
    if less(keys[2], wanted) {
        return ABOVE;
    }
    // How many edges are smaller: eight halvings find one of 256 cells. Keys past the last edge are larger than any.
    var found = 0u;
    for (var step = 128u; step > 0u; step >>= 1u) {
        if less(keys[3u + found + step - 1u], wanted) {
            found += step;
        }
    }
    return found;
}

fn run(group: vec3<u32>, thread: u32) {
    let column = group.y;
    for (var at = thread; at < STRIDE; at += THREADS) {
        atomicStore(&own[at], 0u);
    }
    for (var at = thread; at < MAX_EDGES + 3u; at += THREADS) {
        keys[at] = edges[column * (MAX_EDGES + 3u) + at];
    }
    workgroupBarrier();
    let start = (params.first_part + group.x) * ROWS;
    let end = min(start + ROWS, lengths[column]);
    for (var row = start + thread; row < end; row += THREADS) {
        let at = place(values[column * params.rows + row]);
        let count = to_add(at);
        if count > 0u {
            atomicAdd(&own[at], count);
        }
    }
    workgroupBarrier();
    for (var at = thread; at < STRIDE; at += THREADS) {
        let count = atomicLoad(&own[at]);
        if count > 0u {
            atomicAdd(&counts[column * STRIDE + at], count);
        }
    }
}
