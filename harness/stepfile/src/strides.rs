//! Buffers with room between their rows: the extents that the memory has, and what of it counts.

/// How a buffer's elements lie in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Extents of the memory, outermost first; row-major, dense.
    pub memory: Vec<usize>,
    /// In each of these dimensions, how many of the first elements are the buffer's.
    pub extents: Vec<usize>,
}

impl Layout {
    /// Of extents and strides in elements, both outermost first.
    ///
    /// # Errors
    /// Strides by which elements overlap, or that no rows of one length give.
    pub fn new(shape: &[usize], strides: &[usize]) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err(format!("there are {} strides for {} extents", strides.len(), shape.len()));
        }
        let (mut memory, mut extents) = (shape.get(..1).unwrap_or_default().to_vec(), shape.to_vec());
        for at in 1..shape.len() {
            let (outer, inner, extent) = (strides[at - 1], strides[at], shape[at]);
            if inner > outer {
                return Err(format!(
                    "stride {outer} is before stride {inner}: give the extents in the order of memory"
                ));
            }
            if outer < inner.saturating_mul(extent) {
                return Err(format!(
                    "elements overlap: {extent} with a stride of {inner} reach beyond the stride {outer}"
                ));
            }
            if outer % inner != 0 {
                return Err(format!("stride {outer} is no multiple of stride {inner}"));
            }
            memory.push(outer / inner);
        }
        if let Some(&last) = strides.last().filter(|last| **last > 1) {
            memory.push(last);
            extents.push(1);
        }
        Ok(Layout { memory, extents })
    }

    /// Whether a row of the memory is one of the buffer: only rows have room behind them.
    pub fn has_its_rows(&self) -> bool {
        let outer = self.memory.len() - 1;
        self.memory[..outer] == self.extents[..outer]
    }

    /// Puts dense elements of `size` bytes where they lie in memory; what is between them becomes `room`.
    pub fn spread(&self, dense: &[u8], size: usize, room: u8, memory: &mut [u8]) {
        memory.fill(room);
        let (row, kept) = (self.memory.last().copied().unwrap_or(1), self.extents.last().copied().unwrap_or(1));
        let outer = self.memory.len() - 1;
        let mut from = dense.chunks_exact(kept * size);
        for (number, to) in memory.chunks_exact_mut(row * size).enumerate() {
            let mut left = number;
            let counts = (0..outer).rev().all(|at| {
                let coordinate = left % self.memory[at];
                left /= self.memory[at];
                coordinate < self.extents[at]
            });
            if let Some(from) = counts.then(|| from.next()).flatten() {
                to[..kept * size].copy_from_slice(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;

    #[test]
    fn strides_are_rows_with_room_behind_them() {
        let layout = |shape: &[usize], strides: &[usize]| Layout::new(shape, strides);
        let of = |memory: &[usize], extents: &[usize]| Layout { memory: memory.into(), extents: extents.into() };
        assert_eq!(layout(&[2, 3], &[3, 1]), Ok(of(&[2, 3], &[2, 3])));
        assert_eq!(layout(&[2, 3], &[4, 1]), Ok(of(&[2, 4], &[2, 3])));
        assert_eq!(layout(&[2, 2, 3], &[12, 4, 1]), Ok(of(&[2, 3, 4], &[2, 2, 3])));
        assert_eq!(layout(&[3], &[2]), Ok(of(&[3, 2], &[3, 1])));
        assert!(layout(&[2, 3], &[3]).unwrap_err().starts_with("there are 1 strides for 2 extents"));
        assert!(layout(&[2, 3], &[2, 1]).unwrap_err().starts_with("elements overlap"));
        assert!(layout(&[2, 3], &[1, 2]).unwrap_err().contains("in the order of memory"));
        assert!(layout(&[2, 2, 3], &[10, 4, 1]).unwrap_err().starts_with("stride 10 is no multiple of stride 4"));
    }

    #[test]
    fn elements_are_spread_over_the_rows() {
        let mut memory = [0; 12];
        Layout::new(&[2, 1, 2], &[6, 3, 1]).unwrap().spread(&[1, 2, 3, 4], 1, 9, &mut memory);
        assert_eq!(memory, [1, 2, 9, 9, 9, 9, 3, 4, 9, 9, 9, 9]);
    }
}
