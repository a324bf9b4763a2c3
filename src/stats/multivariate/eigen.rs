//! Eigenvalues and eigenvectors of a small symmetric matrix, by Jacobi's rotations.
//!
//! Chosen for what a watcher needs: a fixed order of operations and so the same bits everywhere, eigenvectors that are
//! orthogonal to rounding, also for equal eigenvalues, and a proof of convergence. It costs some ten passes of
//! O(columns³), which is nothing beside reading the rows.
//!
//! Source: Golub and Van Loan, *Matrix Computations*, 4th edition, section 8.5.

/// Passes over all pairs. Convergence is quadratic: ten are enough for any matrix that fits a table of columns; more
/// are allowed because stopping early would be wrong and going on costs little.
const MOST_SWEEPS: usize = 60;
/// An off-diagonal entry this small beside its diagonal ones changes neither of them.
const NEGLIGIBLE: f64 = f64::EPSILON * 1e-3;

/// Eigenvalues, largest first, and the eigenvector of each; of equal ones the one found first. Each vector's entry of
/// largest magnitude (the first of equals) is positive, so that a sign is nobody's choice.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Vec<Vec<f64>>,
}

/// `matrix`: rows of a finite symmetric matrix.
pub(super) fn symmetric(mut matrix: Vec<Vec<f64>>) -> Eigen {
    let size = matrix.len();
    // Rows are eigenvectors in the end.
    let mut vectors: Vec<Vec<f64>> = (0..size)
        .map(|i| (0..size).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    for _ in 0..MOST_SWEEPS {
        let mut rotated = false;
        for p in 0..size {
            for q in p + 1..size {
                let off = matrix[p][q];
                let beside = matrix[p][p].abs().max(matrix[q][q].abs());
                if off == 0.0 || off.abs() <= NEGLIGIBLE * beside {
                    matrix[p][q] = 0.0;
                    matrix[q][p] = 0.0;
                    continue;
                }
                rotated = true;
                rotate(&mut matrix, &mut vectors, p, q);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| matrix[b][b].total_cmp(&matrix[a][a]));
    Eigen {
        values: order.iter().map(|&place| matrix[place][place]).collect(),
        vectors: order.iter().map(|&place| signed(&vectors[place])).collect(),
    }
}

/// Turns the plane of `p` and `q` so that their entry vanishes, by the smaller of the two angles.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    let off = matrix[p][q];
    let theta = (matrix[q][q] - matrix[p][p]) / 2.0 / off;
    let tangent = if theta.is_finite() {
        theta.signum() / (theta.abs() + (1.0 + theta * theta).sqrt())
    } else {
        0.0
    };
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    matrix[p][p] -= tangent * off;
    matrix[q][q] += tangent * off;
    matrix[p][q] = 0.0;
    matrix[q][p] = 0.0;
    for k in 0..matrix.len() {
        if k != p && k != q {
            let (a, b) = (matrix[k][p], matrix[k][q]);
            let (a, b) = (cosine * a - sine * b, sine * a + cosine * b);
            matrix[k][p] = a;
            matrix[p][k] = a;
            matrix[k][q] = b;
            matrix[q][k] = b;
        }
        let (a, b) = (vectors[p][k], vectors[q][k]);
        vectors[p][k] = cosine * a - sine * b;
        vectors[q][k] = sine * a + cosine * b;
    }
}

fn signed(vector: &[f64]) -> Vec<f64> {
    let largest = vector.iter().fold(0.0_f64, |most, &entry| {
        if entry.abs() > most.abs() {
            entry
        } else {
            most
        }
    });
    let sign = if largest < 0.0 { -1.0 } else { 1.0 };
    vector.iter().map(|entry| sign * entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::normal_rows;
    use super::*;

    #[test]
    fn a_known_matrix() {
        let found = symmetric(vec![vec![2.0, 1.0], vec![1.0, 2.0]]);
        assert!((found.values[0] - 3.0).abs() < 1e-15 && (found.values[1] - 1.0).abs() < 1e-15);
        let half = 0.5_f64.sqrt();
        assert!(
            (found.vectors[0][0] - half).abs() < 1e-15
                && (found.vectors[0][1] - half).abs() < 1e-15
        );
    }

    #[test]
    fn vectors_are_orthonormal_and_give_the_matrix_back() {
        for (size, rows) in [(1, 5), (2, 5), (12, 100), (30, 10), (50, 400)] {
            let sample = normal_rows(rows, size, 5);
            let matrix: Vec<Vec<f64>> = (0..size)
                .map(|i| {
                    (0..size)
                        .map(|j| sample.each_row().map(|row| row[i] * row[j]).sum())
                        .collect()
                })
                .collect();
            let found = symmetric(matrix.clone());
            assert!(found.values.is_sorted_by(|a, b| a >= b));
            let scale = found.values[0];
            for (i, row) in matrix.iter().enumerate() {
                for (j, entry) in row.iter().enumerate() {
                    let pairs = found.vectors[i].iter().zip(&found.vectors[j]);
                    let dot: f64 = pairs.map(|(a, b)| a * b).sum();
                    assert!(
                        (dot - f64::from(u8::from(i == j))).abs() < 1e-13,
                        "{size}: {dot}"
                    );
                    let all = found.values.iter().zip(&found.vectors);
                    let back: f64 = all
                        .map(|(value, vector)| value * vector[i] * vector[j])
                        .sum();
                    assert!((back - entry).abs() < 1e-12 * scale, "{size}");
                }
            }
        }
    }

    #[test]
    fn equal_eigenvalues_zeros_and_tiny_entries_do_not_disturb() {
        let zeros = symmetric(vec![vec![0.0; 3]; 3]);
        assert_eq!(zeros.values, [0.0; 3]);
        let tiny = symmetric(vec![vec![1.0, 1e-300], vec![1e-300, 1e-300]]);
        assert!(
            tiny.values
                .iter()
                .chain(tiny.vectors.iter().flatten())
                .all(|x| x.is_finite())
        );
        assert!(symmetric(vec![]).values.is_empty());
    }
}
