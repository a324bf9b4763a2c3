//! Cells are the profile's, to the last value: this room may not call `profile`, its tests may.

use proptest::prelude::*;

use super::*;
use crate::event::State;
use crate::profile::numeric::CompiledNumeric;
use crate::profile::{NumericCells, NumericProfile};

fn profile(column: &Column<'_>) -> Counts {
    let cells = NumericCells {
        edges: column.edges.to_vec(),
        domain: column.domain,
        center: 0.0,
        sum_shift: 0,
        square_shift: 0,
    };
    let mut profile = NumericProfile::new(&cells);
    let values = column.values.iter().map(|&x| (State::Value as u8, x));
    profile.count(&CompiledNumeric::new(&cells), values);
    Counts {
        cells: profile.cells.to_vec(),
        below: profile.below,
        above: profile.above,
        nan: profile.nan,
        positive_infinity: profile.positive_infinity,
        negative_infinity: profile.negative_infinity,
    }
}

proptest! {
    #[test]
    fn cells_are_those_of_the_profile(
        values in prop::collection::vec(prop_oneof![any::<f64>(), -3.0..3.0f64, Just(1.0), Just(-0.0)], 0..300),
        mut edges in prop::collection::vec(prop_oneof![-3.0..3.0f64, Just(1.0), Just(0.0)], 0..255),
        domain in prop::option::of([-2.0..0.0f64, 0.0..2.0f64]),
    ) {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let column = Column { values: &values, edges: &edges, domain };
        prop_assert_eq!(&fast(&[column])[0], &profile(&column));
    }
}
