//! Matrices in shared memory, where their descriptors say that they lie.

use super::kind::Kind;
use super::{DEEP, ROWS};
use crate::fault::FaultKind;
use crate::vm::bulk::Checked;
use crate::vm::ctx::Ctx;
use crate::vm::flight::UNFENCED;
use crate::vm::memory::peek;

/// A matrix descriptor: where in shared memory a matrix lies.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    start: u32,
    lead: u32,
    stride: u32,
    /// Row of the swizzle's pattern at which the matrix begins.
    base: u32,
    /// Bytes that are swizzled: 16 (not at all), 32, 64 or 128.
    span: u32,
    /// The other dimension is contiguous, not `k`.
    transposed: bool,
}

impl Matrix {
    /// D (PTX ISA, "Matrix descriptor format").
    fn new(descriptor: u64, transposed: bool) -> Self {
        let field = |at: u32| (descriptor >> at & 0x3fff) as u32 * 16;
        Self {
            start: field(0),
            lead: field(16),
            stride: field(32),
            base: (descriptor >> 49 & 7) as u32,
            span: [16, 128, 64, 32][(descriptor >> 62) as usize & 3],
            transposed,
        }
    }

    /// Shared address of 16 bytes: `place` and `piece` count lines and pieces along `k`, or where the matrix is transposed
    /// pieces of eight lines and single places along `k`.
    fn piece(self, line: u32, along: u32) -> u32 {
        let Self { start, lead, stride, base, span, transposed } = self;
        let at = match (transposed, span) {
            (false, 16) => line / 8 * stride + line % 8 * 16 + along * lead,
            (false, _) => line / 8 * stride + line % 8 * span + along * 16,
            (true, 16) => line * stride + along % 8 * 16 + along / 8 * lead,
            (true, _) => line * 16 / span * lead + along / 8 * stride + along % 8 * span + line * 16 % span,
        };
        let address = start.wrapping_add(at);
        let pattern = (address >> 7).wrapping_sub(base) & (span / 16 - 1);
        address ^ pattern << 4
    }
}

impl Ctx {
    /// The bytes of `lines` lines of a matrix from line `first` on, line by line, `k` fastest.
    /// `check`: the asynchronous proxy has to see them.
    fn matrix_bytes(
        &mut self,
        matrix: Matrix,
        (first, lines): (usize, usize),
        check: bool,
        to: &mut Vec<u8>,
    ) -> Checked<()> {
        let begin = to.len();
        to.resize(begin + lines * DEEP, 0);
        let to = &mut to[begin..];
        let mut read = |address: u32| -> Checked<[u8; 16]> {
            if self.shared_len < 16 || address > self.shared_len - 16 {
                let address = address.into();
                return Err(FaultKind::IllegalAddress { space: "shared", address, size: 16, write: false });
            }
            let place = self.shared.wrapping_add(address as usize);
            if check && !self.flights.proxy.sees(place, 16) {
                return Err(FaultKind::Misuse(UNFENCED.to_owned()));
            }
            Ok(peek(place))
        };
        if matrix.transposed {
            // Two bytes an element: eight lines in a piece, sixteen places along `k`.
            for group in 0..lines / 8 {
                for k in 0..DEEP / 2 {
                    let piece = read(matrix.piece((first / 8 + group) as u32, k as u32))?;
                    for line in 0..8 {
                        let at = (8 * group + line) * DEEP + 2 * k;
                        (to[at], to[at + 1]) = (piece[2 * line], piece[2 * line + 1]);
                    }
                }
            }
            return Ok(());
        }
        for line in 0..lines {
            for piece in 0..DEEP / 16 {
                let bytes = read(matrix.piece((first + line) as u32, piece as u32))?;
                let at = line * DEEP + 16 * piece;
                to[at..at + 16].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// What a product reads from shared memory: A's sixteen rows of this warp, if they lie there, and B.
    pub(super) fn product_bytes(&mut self, kind: Kind, a: u64, b: u64, check: bool) -> Checked<Vec<u8>> {
        let mut bytes = Vec::with_capacity((ROWS + kind.n) * DEEP);
        if !kind.registers {
            let first = self.warp.index as usize % 4 * ROWS;
            self.matrix_bytes(Matrix::new(a, kind.transposed[0]), (first, ROWS), check, &mut bytes)?;
        }
        self.matrix_bytes(Matrix::new(b, kind.transposed[1]), (0, kind.n), check, &mut bytes)?;
        Ok(bytes)
    }
}
