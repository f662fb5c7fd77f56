//! How much memory columns take.

use std::iter::Sum;
use std::ops::Add;

/// Bytes of some buffers. What is used says when a row group is large enough; what is allocated counts against the
/// budget.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) used: usize,
    pub(crate) allocated: usize,
}

impl Size {
    pub(crate) fn of<T>(buffer: &Vec<T>) -> Size {
        Size { used: buffer.len() * size_of::<T>(), allocated: buffer.capacity() * size_of::<T>() }
    }
}

impl Add for Size {
    type Output = Size;

    fn add(self, other: Size) -> Size {
        Size { used: self.used + other.used, allocated: self.allocated + other.allocated }
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Size>>(sizes: I) -> Size {
        sizes.fold(Size::default(), Size::add)
    }
}
