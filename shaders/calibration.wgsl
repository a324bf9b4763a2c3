// Two floors to measure a device by: how fast it copies, and how fast it multiplies and adds.
// Twin: src/compute/calibration.rs.

struct Params {
    words: u32,
    rounds: u32,
    // A word that is 0, which a compiler cannot know.
    zero: f32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> target_words: array<vec4<u32>>;

const THREADS: u32 = 256u;
// Multiply-adds of a round: 8 chains of vec4, each twice.
const FLOPS: u32 = 128u;

@compute @workgroup_size(256)
fn copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let stride = groups.x * THREADS;
    for (var at = id.x; at < params.words / 4u; at += stride) {
        target_words[at] = source[at];
    }
}

@compute @workgroup_size(256)
fn multiply_add(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = vec4(params.zero + 0.5);
    var a = vec4(f32(id.x), 1.0, 2.0, 3.0);
    var b = a + 1.0;
    var c = a + 2.0;
    var d = a + 3.0;
    var e = a + 4.0;
    var f = a + 5.0;
    var g = a + 6.0;
    var h = a + 7.0;
    for (var round = 0u; round < params.rounds; round++) {
        a = fma(a, x, x);
        b = fma(b, x, x);
        c = fma(c, x, x);
        d = fma(d, x, x);
        e = fma(e, x, x);
        f = fma(f, x, x);
        g = fma(g, x, x);
        h = fma(h, x, x);
        a = fma(a, x, x);
        b = fma(b, x, x);
        c = fma(c, x, x);
        d = fma(d, x, x);
        e = fma(e, x, x);
        f = fma(f, x, x);
        g = fma(g, x, x);
        h = fma(h, x, x);
    }
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    // Never true, so that nothing is written and nothing can be left out.
    if sum.x + sum.y + sum.z + sum.w == -1.0 {
        target_words[0] = vec4(1u);
    }
}
