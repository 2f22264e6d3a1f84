//! Products of matrices that lie within slices, on one thread.
//!
//! A product's bits depend on its sizes alone: who wants several threads cuts his work by the sizes
//! of the problem, and gives each piece to [`multiply`].

use gemm::Parallelism;

/// A matrix within a slice: the value of (row, column) is at row · `rows` + column · `columns`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `width` values, one after another.
    pub fn new(values: &'a [f32], width: usize) -> Self {
        Self {
            values,
            rows: width,
            columns: 1,
        }
    }

    /// The same with rows for columns.
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.rows + (columns - 1) * self.columns < self.values.len()
    }
}

/// `output` (m, n), whose rows are `width` apart, becomes left (m, k) times right (k, n), or what it
/// was and this product.
///
/// # Panics
/// A matrix is smaller than these sizes say.
pub fn multiply(
    [m, n, k]: [usize; 3],
    left: Matrix<'_>,
    right: Matrix<'_>,
    output: &mut [f32],
    width: usize,
    adds: bool,
) {
    if m == 0 || n == 0 || k == 0 {
        assert!(k > 0 || adds, "a product of nothing");
        return;
    }
    assert!(left.holds(m, k) && right.holds(k, n));
    assert!(n <= width && (m - 1) * width + n <= output.len());
    let old = if adds { 1.0 } else { 0.0 };
    // SAFETY: all places that these sizes and strides reach are in the slices, as just asserted, and
    // those of the output differ from one another, for n <= width.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            output.as_mut_ptr(),
            1,
            width as isize,
            adds,
            left.values.as_ptr(),
            left.columns as isize,
            left.rows as isize,
            right.values.as_ptr(),
            right.columns as isize,
            right.rows as isize,
            old,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
