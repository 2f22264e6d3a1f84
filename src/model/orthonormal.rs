//! Matrices with orthonormal rows or columns: the singular vectors of a given matrix.
//!
//! It knows nothing of layers, and draws nothing.

/// Sweeps over all pairs of vectors; a handful is enough for any matrix.
const SWEEPS: usize = 60;
/// Cosine of two vectors that count as orthogonal: what f64 leaves of 0.
const ORTHOGONAL: f64 = 1e-15;

/// The factor of a singular value decomposition U S Vᵀ of `matrix` (in C order, of so many
/// `columns`) that has its shape: U if it has no more columns than rows, else Vᵀ. Vectors stand in
/// the order of falling singular values. The sign of each is arbitrary: other implementations, such
/// as LAPACK behind numpy, may choose another.
///
/// One-sided Jacobi (Hestenes 1958). Its time grows with the square of the shorter side times the
/// longer: a second for 300 x 300, an hour for VGG's linear layers of 4096.
pub fn orthonormal(matrix: Vec<f64>, columns: usize) -> Vec<f64> {
    let rows = matrix.len() / columns.max(1);
    let tall = columns <= rows;
    let mut vectors: Vec<Vec<f64>> = match tall {
        true => (0..columns)
            .map(|start| matrix[start..].iter().step_by(columns).copied().collect())
            .collect(),
        false => matrix.chunks(columns).map(<[f64]>::to_vec).collect(),
    };
    for _ in 0..SWEEPS {
        if !sweep(&mut vectors) {
            break;
        }
    }
    let mut by_norm: Vec<(f64, Vec<f64>)> = vectors.into_iter().map(normalized).collect();
    by_norm.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let vectors = || by_norm.iter().map(|(_, vector)| vector);
    match tall {
        true => (0..rows)
            .flat_map(|row| vectors().map(move |vector| vector[row]))
            .collect(),
        false => vectors().flatten().copied().collect(),
    }
}

/// Turns each pair of vectors in its plane until they are orthogonal. Whether any was not.
fn sweep(vectors: &mut [Vec<f64>]) -> bool {
    let mut turned = false;
    for second in 1..vectors.len() {
        let (before, rest) = vectors.split_at_mut(second);
        let b = &mut rest[0];
        for a in before {
            let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
            if ab.abs() <= ORTHOGONAL * (aa * bb).sqrt() {
                continue;
            }
            turned = true;
            // The smaller of the two angles that make them orthogonal.
            let zeta = (bb - aa) / (2.0 * ab);
            let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            let sine = cosine * tangent;
            for (x, y) in a.iter_mut().zip(b.iter_mut()) {
                (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
            }
        }
    }
    turned
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The length of a vector, and the vector at length 1.
fn normalized(mut vector: Vec<f64>) -> (f64, Vec<f64>) {
    let norm = dot(&vector, &vector).sqrt();
    vector.iter_mut().for_each(|value| *value /= norm);
    (norm, vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Generator, Stream};

    #[test]
    fn the_shorter_side_is_orthonormal() {
        for (rows, columns) in [(1, 1), (4, 9), (9, 4), (30, 30), (7, 1), (1, 7)] {
            let mut stream = Stream::new(1, "matrix", &[rows as u64, columns as u64]);
            let drawn = (0..rows * columns).map(|_| stream.normal()).collect();
            let result = orthonormal(drawn, columns);
            let at = |row: usize, column: usize| match columns <= rows {
                true => result[column * columns + row],
                false => result[row * columns + column],
            };
            let (count, length) = (rows.min(columns), rows.max(columns));
            for a in 0..count {
                for b in 0..count {
                    let product: f64 = (0..length).map(|i| at(a, i) * at(b, i)).sum();
                    let expected = f64::from(u8::from(a == b));
                    assert!((product - expected).abs() < 1e-13, "{rows} x {columns}");
                }
            }
        }
    }
}
