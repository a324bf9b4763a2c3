use super::*;
use crate::learn::cells::Ordered;
use crate::learn::fixture::flights;
use crate::learn::tree::Node;
use crate::learn::{Candidate, Model, Target};

const GROWTH: Growth = Growth {
    depth: 5,
    leaf_rows: 5,
};

fn wood(trees: u32) -> Wood {
    Wood {
        trees,
        columns: 0.5,
        sample_rows: 200,
    }
}

fn grown(trees: u32, seed: u64) -> Vec<Tree> {
    let (table, target) = flights(500, 8);
    let Target::Binary { is_positive, .. } = &target else {
        panic!("flights are binary")
    };
    let encoding = Ordered::fit(&table, &target).expect("the columns vary");
    let cells = Cells::of(&encoding.columns(&table).expect("the same table"));
    let class: Vec<u32> = is_positive.iter().map(|&yes| u32::from(yes)).collect();
    let outcomes = Outcomes::Classes {
        class: &class,
        classes: 2,
    };
    many(&cells, outcomes, &GROWTH, &wood(trees), seed, &mut |_| ()).expect("linfa splits")
}

#[test]
fn more_trees_leave_the_first_ones_as_they_are() {
    assert_eq!(grown(3, 1), grown(9, 1)[..3]);
}

#[test]
fn trees_and_seeds_differ() {
    let trees = grown(5, 1);
    assert!(trees.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(
        trees
            .iter()
            .zip(grown(5, 2))
            .all(|(one, other)| *one != other)
    );
}

#[test]
fn a_tree_sees_as_many_rows_as_asked() {
    for tree in grown(4, 3) {
        let rows: u32 = tree
            .nodes
            .iter()
            .map(|node| match node {
                Node::Counts(counts) => counts.iter().sum(),
                Node::Ask { .. } | Node::Mean(_) => 0,
            })
            .sum();
        assert_eq!(rows, 200);
    }
}

#[test]
fn columns_are_drawn_without_repeats_and_each_as_often() {
    let mut rng = Pcg64Mcg::new(5);
    let mut drawn = [0_u32; 6];
    for _ in 0..3_000 {
        let chosen = some_of(6, 2, &mut rng);
        assert!(chosen.len() == 2 && chosen[0] < chosen[1] && chosen[1] < 6);
        chosen.iter().for_each(|&column| drawn[column] += 1);
    }
    // Each with probability 1/3: 1000 ± 26; five deviations.
    assert!(
        drawn.iter().all(|times| (870..=1_130).contains(times)),
        "{drawn:?}"
    );
}

/// Half the questions may not be about the wind, yet the forest finds it.
#[test]
fn a_forest_is_better_than_the_base_rate_on_rows_it_has_not_seen() {
    let candidate = Candidate::parse("forest").expect("a known name");
    let (table, target) = flights(2_000, 8);
    let model = Model::fit(&candidate, &table, &target, 1, &mut |_| ()).expect("it can be learned");
    let (table, target) = flights(2_000, 80);
    let Target::Binary { is_positive, .. } = &target else {
        panic!("flights are binary")
    };
    let late = model
        .predict(&table)
        .expect("the same columns")
        .probability_of("late");
    let squares = |said: &dyn Fn(usize) -> f64| -> f64 {
        is_positive
            .iter()
            .enumerate()
            .map(|(row, &yes)| (f64::from(yes) - said(row)).powi(2))
            .sum()
    };
    let late = late.expect("a class of the model");
    let share = is_positive.iter().filter(|&&yes| yes).count() as f64 / 2_000.0;
    let (forest, base) = (squares(&|row| late[row]), squares(&|_| share));
    assert!(forest < 0.9 * base, "{forest} of {base}");
}
