// Null distributions of statistics on counts: both sides drawn anew, compared on the device.
// Twin: src/compute/resample.rs. Before reductions.wgsl or subgroups.wgsl.
//
// A workgroup draws one column once. Random words are Philox4x32-10 of (block, column, draw, side): the same on the CPU,
// so that counts are equal bit for bit.

struct Params {
    columns: u32,
    // Rows of the two sides.
    reference_rows: u32,
    window_rows: u32,
    first_draw: u32,
    key_low: u32,
    key_high: u32,
    // 1 if counts are wanted too.
    keep_counts: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// By column: 255 thresholds, filled up with the largest word, and the number of bins.
@group(0) @binding(1) var<storage, read> thresholds: array<u32>;
// By draw and column: psi, jensen_shannon, l_infinity, chi_squared, ks, and three unused words.
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;
// By draw, column, side: 256 counts.
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;

const THREADS: u32 = 256u;
const BINS: u32 = 256u;
const SCORES: u32 = 8u;
const STREAM: u32 = 0x72657361u;
const MULTIPLIER_0: u32 = 0xd2511f53u;
const MULTIPLIER_1: u32 = 0xcd9e8d57u;
const INCREMENT_0: u32 = 0x9e3779b9u;
const INCREMENT_1: u32 = 0xbb67ae85u;
// Rows added to each occupied bin before shares are compared by the population stability index.
const SMOOTHING: f32 = 0.5;
// Below, logarithms are taken by their series: a quotient of nearly equal shares has no digits left.
const SERIES: f32 = 0.5;
const LN_2: f32 = 0.6931472;

var<workgroup> limits: array<u32, 256>;
var<workgroup> drawn: array<atomic<u32>, 512>;
// High and low word of a product, by halves: WGSL has no integers of 64 bits.
fn product(a: u32, b: u32) -> vec2<u32> {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 16u);
    let other = a_low * b_high + (middle & 0xffffu);
    return vec2(a_high * b_high + (middle >> 16u) + (other >> 16u), a * b);
}

fn round_of(state: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let first = product(MULTIPLIER_0, state.x);
    let second = product(MULTIPLIER_1, state.z);
    return vec4(second.x ^ state.y ^ key.x, second.y, first.x ^ state.w ^ key.y, first.y);
}

fn philox(counter: vec4<u32>) -> vec4<u32> {
    let increment = vec2(INCREMENT_0, INCREMENT_1);
    var key = vec2(params.key_low, params.key_high);
    // Ten rounds without a loop: see the bound on iterations in the twin.
    var state = round_of(counter, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    state = round_of(state, key);
    key += increment;
    return round_of(state, key);
}

// How many thresholds are not above the word: its bin.
fn bin_of(word: u32) -> u32 {
    var found = select(0u, 128u, limits[127] <= word);
    found += select(0u, 64u, limits[found + 63u] <= word);
    found += select(0u, 32u, limits[found + 31u] <= word);
    found += select(0u, 16u, limits[found + 15u] <= word);
    found += select(0u, 8u, limits[found + 7u] <= word);
    found += select(0u, 4u, limits[found + 3u] <= word);
    found += select(0u, 2u, limits[found + 1u] <= word);
    found += select(0u, 1u, limits[found] <= word);
    // Fillers are the largest word, which may be drawn.
    return min(found, limits[255] - 1u);
}

// Source: one of the two words of the counter's last place.
fn draw_side(thread: u32, column: u32, draw: u32, side: u32, rows: u32) {
    for (var block = thread; block < (rows + 3u) / 4u; block += THREADS) {
        let words = philox(vec4(block, column, draw, STREAM + side));
        let left = rows - 4u * block;
        atomicAdd(&drawn[side * BINS + bin_of(words.x)], 1u);
        if left > 1u {
            atomicAdd(&drawn[side * BINS + bin_of(words.y)], 1u);
        }
        if left > 2u {
            atomicAdd(&drawn[side * BINS + bin_of(words.z)], 1u);
        }
        if left > 3u {
            atomicAdd(&drawn[side * BINS + bin_of(words.w)], 1u);
        }
    }
}

// 2·atanh(z) = ln((1 + z) / (1 − z)).
fn log_ratio(z: f32) -> f32 {
    if abs(z) < SERIES {
        let s = z * z;
        return 2.0 * z * (1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0 + s * (1.0 / 13.0 + s * (1.0 / 15.0))))))));
    }
    return log((1.0 + z) / (1.0 - z));
}

// (1 − z)·ln(1 − z) + (1 + z)·ln(1 + z), 0·ln 0 taken for 0.
fn divergence(z: f32) -> f32 {
    let size = min(abs(z), 1.0);
    if size < SERIES {
        let s = z * z;
        return s * (1.0 + s * (1.0 / 6.0 + s * (1.0 / 15.0 + s * (1.0 / 28.0 + s * (1.0 / 45.0 + s * (1.0 / 66.0 + s * (1.0 / 91.0 + s * (1.0 / 120.0))))))));
    }
    let less = 1.0 - size;
    var value = (1.0 + size) * log(1.0 + size);
    if less > 0.0 {
        value += less * log(less);
    }
    return value;
}

fn run(group: vec3<u32>, thread: u32) {
    let column = group.x;
    let draw = params.first_draw + group.y;
    limits[thread] = thresholds[column * BINS + thread];
    atomicStore(&drawn[thread], 0u);
    atomicStore(&drawn[thread + BINS], 0u);
    workgroupBarrier();
    // A column without bins has no rows.
    if limits[255] > 0u {
        draw_side(thread, column, draw, 0u, params.reference_rows);
        draw_side(thread, column, draw, 1u, params.window_rows);
    }
    workgroupBarrier();

    let a = atomicLoad(&drawn[thread]);
    let b = atomicLoad(&drawn[thread + BINS]);
    let here = a + b > 0u;
    let n = f32(params.reference_rows);
    let m = f32(params.window_rows);
    let pair = group.y * params.columns + column;
    if params.keep_counts == 1u {
        counts[pair * 2u * BINS + thread] = a;
        counts[pair * 2u * BINS + BINS + thread] = b;
    }
    let below = running(thread, vec3(a, b, select(0u, 1u, here)));
    let extra = SMOOTHING * f32(below.all.z);
    // Terms of a bin: psi, jensen_shannon, l_infinity, chi_squared.
    var term = vec4(0.0);
    if here {
        let smooth_p = (f32(a) + SMOOTHING) / (n + extra);
        let smooth_q = (f32(b) + SMOOTHING) / (m + extra);
        let smooth_z = (smooth_q - smooth_p) / (smooth_q + smooth_p);
        let p = f32(a) / n;
        let q = f32(b) / m;
        let z = (q - p) / (q + p);
        term = vec4(
            (smooth_q - smooth_p) * log_ratio(smooth_z),
            (p + q) / 2.0 * divergence(z),
            abs(q - p),
            (q - p) * (q - p) / ((f32(a) + f32(b)) / (n + m)),
        );
    }
    let gap = abs(f32(below.here.y) / m - f32(below.here.x) / n);
    let sum = all_joined(thread, Joined(term, gap));
    if thread == 0u {
        // Without a row on either side nothing can differ.
        let any = params.reference_rows > 0u && params.window_rows > 0u && limits[255] > 0u;
        let at = pair * SCORES;
        scores[at] = select(0.0, max(sum.term.x, 0.0), any);
        scores[at + 1u] = select(0.0, sqrt(clamp(sum.term.y / (2.0 * LN_2), 0.0, 1.0)), any);
        scores[at + 2u] = select(0.0, sum.term.z, any);
        scores[at + 3u] = select(0.0, sum.term.w * (n / (n + m)) * m, any);
        scores[at + 4u] = select(0.0, min(sum.gap, 1.0), any);
    }
}
