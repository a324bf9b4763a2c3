// As reductions.wgsl, with what the threads of a subgroup can tell each other: fewer barriers, and one addition for all
// threads of a subgroup that count the same. Sums have the same order. Only for devices with subgroups of one size; never
// in one module with cooperative matrices, which some drivers crash on. Twin: src/compute/subgroups.rs.

var<workgroup> running_words: array<vec3<u32>, 256>;
var<workgroup> terms: array<vec4<f32>, 256>;
var<workgroup> gaps: array<f32, 256>;
var<private> size: u32;
var<private> place_in_subgroup: u32;

struct Running {
    here: vec3<u32>,
    all: vec3<u32>,
}

struct Joined {
    term: vec4<f32>,
    gap: f32,
}

fn running(thread: u32, value: vec3<u32>) -> Running {
    let own = subgroupInclusiveAdd(value);
    if place_in_subgroup == size - 1u {
        running_words[thread / size] = own;
    }
    workgroupBarrier();
    var before = vec3(0u);
    var all = vec3(0u);
    for (var at = 0u; at < THREADS / size; at++) {
        if at < thread / size {
            before += running_words[at];
        }
        all += running_words[at];
    }
    return Running(before + own, all);
}

fn joined(a: Joined, b: Joined) -> Joined {
    return Joined(vec4(a.term.x + b.term.x, a.term.y + b.term.y, max(a.term.z, b.term.z), a.term.w + b.term.w), max(a.gap, b.gap));
}

// The tree of reductions.wgsl, whose narrow end is one subgroup.
fn all_joined(thread: u32, own: Joined) -> Joined {
    terms[thread] = own.term;
    gaps[thread] = own.gap;
    workgroupBarrier();
    for (var width = THREADS / 2u; width >= size; width >>= 1u) {
        if thread < width {
            let both = joined(Joined(terms[thread], gaps[thread]), Joined(terms[thread + width], gaps[thread + width]));
            terms[thread] = both.term;
            gaps[thread] = both.gap;
        }
        workgroupBarrier();
    }
    var sum = Joined(terms[place_in_subgroup], gaps[place_in_subgroup]);
    for (var width = size / 2u; width > 0u; width >>= 1u) {
        sum = joined(sum, Joined(subgroupShuffleDown(sum.term, width), subgroupShuffleDown(sum.gap, width)));
    }
    return sum;
}

// The first thread adds for all that count at its place; the others for themselves.
fn to_add(place: u32) -> u32 {
    let of_first = subgroupBroadcastFirst(place);
    let is_first = subgroupBroadcastFirst(place_in_subgroup) == place_in_subgroup;
    let same = countOneBits(subgroupBallot(place == of_first));
    let all = (same.x + same.y) + (same.z + same.w);
    return select(1u, select(0u, all, is_first), place == of_first);
}

// Threads are numbered subgroup by subgroup, whatever the device's own order is.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_size) subgroup_size: u32,
) {
    size = subgroup_size;
    place_in_subgroup = place;
    run(group, subgroup * subgroup_size + place);
}
