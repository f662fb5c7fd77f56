//! Choices drawn from bytes.

/// Where all randomness comes from. Zero is always the simplest choice, and what is drawn when the bytes are spent.
pub(crate) struct Choices<'b> {
    bytes: std::slice::Iter<'b, u8>,
}

impl<'b> Choices<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// Whether only simplest choices are left.
    pub(crate) fn spent(&self) -> bool {
        self.bytes.len() == 0
    }

    /// A number below `limit`, which is at least 1. Takes as many bytes as `limit` has.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let mut drawn = 0;
        let mut reach = 1;
        while reach < limit {
            drawn = drawn << 8 | usize::from(*self.bytes.next().unwrap_or(&0));
            reach <<= 8;
        }
        drawn % limit
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
