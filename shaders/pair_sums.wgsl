// Of a tile's values the sums that every labelling picks, in one pass and without a stored matrix. Put after tile.wgsl,
// with rbf_mmd.wgsl or pairwise_distance.wgsl, which say what a value is. Twin: src/compute/pair_sums.rs.
//
// A labelling picks rows and columns. Of 4 × 4 pairs there are 16 · 16 sums it can want: all are made once, and each
// labelling looks one up where it would else add sixteen. A thread has its labellings for itself, so that nothing is
// joined before the end. What a labelling's pairs across the samples add up to follows from the sums of rows.

// Bindings 0 and 1 are the tile's. Labels: word by word of rows, for that by labelling.
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// By labelling: steps of the pairs within the first sample, 64 bits, low word first.
@group(0) @binding(3) var<storage, read_write> within: array<atomic<u32>>;
// By row: steps of all its pairs, likewise.
@group(0) @binding(4) var<storage, read_write> by_row: array<atomic<u32>>;

// Small blocks of 4 × 4 pairs tabulated at a time, and the sums of one.
const SMALL_BLOCKS: u32 = 8u;
const SUBSETS: u32 = 256u;
// Such rounds for a tile.
const ROUNDS: u32 = 32u;
// Words of a block's labels.
const BLOCK_WORDS: u32 = 2u;
// Half of the table: four small blocks.
const HALF: u32 = 1024u;

// By small block: sums of the pairs of which the row is in the upper four bits and the column in the lower four.
var<workgroup> table: array<u32, 2048>;
// By small block: its four rows.
var<workgroup> small_blocks: array<vec4<Value>, 32>;

struct Values {
    a: vec4<Value>,
    b: vec4<Value>,
    c: vec4<Value>,
    d: vec4<Value>,
}

// Four sums of 64 bits.
struct Totals {
    low: vec4<u32>,
    high: vec4<u32>,
}

fn added(a: Totals, b: Totals) -> Totals {
    let low = a.low + b.low;
    return Totals(low, a.high + b.high + select(vec4(0u), vec4(1u), low < b.low));
}

fn sum_of(values: vec4<Value>) -> Value {
    return (values.x + values.y) + (values.z + values.w);
}

fn picked(values: vec4<Value>, bits: u32) -> Value {
    let keep = (vec4(bits, bits >> 1u, bits >> 2u, bits >> 3u) & vec4(1u)) == vec4(1u);
    return sum_of(select(vec4<Value>(), values, keep));
}

// Adds the tile's rows and columns to the sums of their rows: in the order of the threads' quadruples.
fn add_to_rows(tile: Tile, values: Values, thread: u32) {
    let row = thread / QUADS;
    let column = thread % QUADS;
    let of_rows = column * BLOCK + 4u * row;
    table[of_rows] = encoded(sum_of(values.a));
    table[of_rows + 1u] = encoded(sum_of(values.b));
    table[of_rows + 2u] = encoded(sum_of(values.c));
    table[of_rows + 3u] = encoded(sum_of(values.d));
    let of_columns = HALF + row * BLOCK + 4u * column;
    let columns = (values.a + values.b) + (values.c + values.d);
    table[of_columns] = encoded(columns.x);
    table[of_columns + 1u] = encoded(columns.y);
    table[of_columns + 2u] = encoded(columns.z);
    table[of_columns + 3u] = encoded(columns.w);
    workgroupBarrier();
    if thread < 2u * BLOCK {
        var sum = Value();
        for (var quad = 0u; quad < QUADS; quad++) {
            sum += decoded(table[(thread / BLOCK) * HALF + quad * BLOCK + thread % BLOCK]);
        }
        let steps = steps_of(vec4(sum, Value(), Value(), Value()));
        let place = 2u * (select(tile.row, tile.column, thread >= BLOCK) * BLOCK + thread % BLOCK);
        let low = atomicAdd(&by_row[place], steps.low.x);
        let carry = select(0u, 1u, low + steps.low.x < low);
        if steps.high.x + carry > 0u {
            atomicAdd(&by_row[place + 1u], steps.high.x + carry);
        }
    }
}

// All sums of the small blocks: 32 threads for each, of which one makes 8 of the same columns.
fn tabulate(thread: u32) {
    let first = 4u * (thread / 32u);
    let bits = thread % 16u;
    let a = picked(small_blocks[first], bits);
    let b = picked(small_blocks[first + 1u], bits);
    let c = picked(small_blocks[first + 2u], bits);
    let d = picked(small_blocks[first + 3u], bits);
    let start = select(Value(), a, (thread & 16u) == 16u);
    let place = (thread / 32u) * SUBSETS + thread % 32u;
    table[place] = encoded(start);
    table[place + 32u] = encoded(start + b);
    table[place + 64u] = encoded(start + c);
    table[place + 96u] = encoded(start + (b + c));
    table[place + 128u] = encoded(start + d);
    table[place + 160u] = encoded(start + (b + d));
    table[place + 192u] = encoded(start + (c + d));
    table[place + 224u] = encoded(start + (b + (c + d)));
}

// What is picked of four small blocks. Rows: bits 4 … 7.
fn of_four(start: u32, rows: u32, columns: u32) -> Value {
    let a = decoded(table[start + (rows | (columns & 15u))]);
    let b = decoded(table[start + SUBSETS + (rows | ((columns >> 4u) & 15u))]);
    let c = decoded(table[start + 2u * SUBSETS + (rows | ((columns >> 8u) & 15u))]);
    let d = decoded(table[start + 3u * SUBSETS + (rows | ((columns >> 12u) & 15u))]);
    return (a + b) + (c + d);
}

// What a labelling picks of this round; if two threads share it, of half of it.
fn of_round(thread: u32, shift: u32, rows: u32, columns: u32) -> Value {
    let nibble = ((rows >> shift) & 15u) << 4u;
    if params.lanes == THREADS {
        return of_four(0u, nibble, columns) + of_four(HALF, nibble, columns >> 16u);
    }
    let part = thread / params.lanes;
    return of_four(part * HALF, nibble, columns >> (16u * part));
}

// Labels of 32 rows, for the thread's labellings.
fn bits_of(word: u32, lane: u32) -> vec4<u32> {
    let at = word * params.labellings + lane;
    var bits = vec4(labels[at], 0u, 0u, 0u);
    if params.batches > 1u {
        bits.y = labels[at + THREADS];
    }
    if params.batches > 2u {
        bits.z = labels[at + 2u * THREADS];
    }
    if params.batches > 3u {
        bits.w = labels[at + 3u * THREADS];
    }
    return bits;
}

fn add_to_labelling(labelling: u32, low: u32, high: u32) {
    let before = atomicAdd(&within[2u * labelling], low);
    let carry = select(0u, 1u, before + low < before);
    if high + carry > 0u {
        atomicAdd(&within[2u * labelling + 1u], high + carry);
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread % params.lanes;
    // In which round the thread's own values are tabulated.
    let own_round = (thread / 128u) * 16u + ((thread / 8u) % 2u) * 8u + (thread / 16u) % 8u;
    let own_place = 4u * (thread % 8u);
    var totals = Totals(vec4(0u), vec4(0u));
    for (var step = 0u; step < params.steps; step++) {
        let tile = tile_of(params.first_tile + step * params.groups + group.x);
        if !tile.exists {
            continue;
        }
        let values = values_of(tile, squared_distances(tile, thread), thread);
        add_to_rows(tile, values, thread);
        var rows = vec4(0u);
        var columns = vec4(0u);
        for (var round = 0u; round <= ROUNDS; round++) {
            // Rounds overlap: while one is looked up, the next one's values are put in place.
            if round > 0u {
                workgroupBarrier();
                tabulate(thread);
                workgroupBarrier();
            }
            if own_round == round {
                small_blocks[own_place] = values.a;
                small_blocks[own_place + 1u] = values.b;
                small_blocks[own_place + 2u] = values.c;
                small_blocks[own_place + 3u] = values.d;
            }
            if round > 0u {
                let now = round - 1u;
                if now % 16u == 0u {
                    rows = bits_of(tile.row * BLOCK_WORDS + now / 16u, lane);
                }
                if now % 8u == 0u {
                    columns = bits_of(tile.column * BLOCK_WORDS + (now / 8u) % 2u, lane);
                }
                let shift = 4u * (now % 8u);
                var sums = vec4<Value>();
                sums.x = of_round(thread, shift, rows.x, columns.x);
                if params.batches > 1u {
                    sums.y = of_round(thread, shift, rows.y, columns.y);
                }
                if params.batches > 2u {
                    sums.z = of_round(thread, shift, rows.z, columns.z);
                }
                if params.batches > 3u {
                    sums.w = of_round(thread, shift, rows.w, columns.w);
                }
                totals = added(totals, steps_of(sums));
            }
        }
        // The next tile's sums of rows overwrite the table only behind the barriers of its distances.
    }
    add_to_labelling(lane, totals.low.x, totals.high.x);
    if params.batches > 1u {
        add_to_labelling(lane + THREADS, totals.low.y, totals.high.y);
    }
    if params.batches > 2u {
        add_to_labelling(lane + 2u * THREADS, totals.low.z, totals.high.z);
    }
    if params.batches > 3u {
        add_to_labelling(lane + 3u * THREADS, totals.low.w, totals.high.w);
    }
}
