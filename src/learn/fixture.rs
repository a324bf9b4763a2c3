//! Data for the tests of this room: made by a pinned generator, the same everywhere.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use super::{Column, Table, Target};

/// `rows` flights: temperature and wind (each missing now and then), a day and a carrier, and whether they were late,
/// which the wind and the carrier `late air` make likelier.
pub fn flights(rows: usize, seed: u128) -> (Table, Target) {
    let mut rng = Pcg64Mcg::new(seed);
    let mut share = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let (mut temp, mut wind, mut day, mut carrier) = (vec![], vec![], vec![], vec![]);
    let mut is_positive = vec![];
    for _ in 0..rows {
        temp.push(if share() < 0.1 {
            f64::NAN
        } else {
            (share() * 80.0).round()
        });
        let blows = (share() * 30.0).round();
        wind.push(blows);
        day.push(Some(
            ["fri", "mon", "sun"][(share() * 3.0) as usize].to_owned(),
        ));
        let late_air = share() < 0.3;
        carrier.push(match (late_air, share() < 0.05) {
            (_, true) => None,
            (true, _) => Some("late air".to_owned()),
            (false, _) => Some("prompt".to_owned()),
        });
        is_positive.push(share() < 0.1 + blows / 60.0 + if late_air { 0.3 } else { 0.0 });
    }
    let table = Table {
        names: ["temp", "wind", "day", "carrier"]
            .map(str::to_owned)
            .to_vec(),
        columns: vec![
            Column::Numeric(temp),
            Column::Numeric(wind),
            Column::Categorical(day),
            Column::Categorical(carrier),
        ],
    };
    (table, late(is_positive))
}

pub fn late(is_positive: Vec<bool>) -> Target {
    Target::Binary {
        positive: "late".to_owned(),
        negative: "on time".to_owned(),
        is_positive,
    }
}

/// The same flights in three classes: on time, late, and, of the late ones, every third lost.
pub fn three_classes(rows: usize, seed: u128) -> (Table, Target) {
    let (table, target) = flights(rows, seed);
    let Target::Binary { is_positive, .. } = target else {
        unreachable!("flights are binary")
    };
    let class = is_positive
        .iter()
        .enumerate()
        .map(|(row, late)| match (late, row % 3) {
            (false, _) => 0,
            (true, 0) => 2,
            (true, _) => 1,
        });
    let target = Target::Multiclass {
        classes: ["on time", "late", "lost"].map(str::to_owned).to_vec(),
        class: class.collect(),
    };
    (table, target)
}

/// One numeric column.
pub fn numbers(name: &str, values: impl IntoIterator<Item = f64>) -> Table {
    Table {
        names: vec![name.to_owned()],
        columns: vec![Column::Numeric(values.into_iter().collect())],
    }
}

/// One categorical column; an empty text is missing.
pub fn words<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Table {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Table {
        names: vec![name.to_owned()],
        columns: vec![Column::Categorical(values.into_iter().map(known).collect())],
    }
}
