//! Little-endian bytes, written into room that may end, and read from bytes that may be damaged.

/// Where an event is written: a slice of the record. What does not fit is left out, and
/// [`Output::is_cut`] says so.
#[derive(Debug)]
pub struct Output<'a> {
    room: &'a mut [u8],
    length: usize,
    cut: bool,
}

impl<'a> Output<'a> {
    /// Writes from the start of `room`.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0, cut: false }
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether something did not fit.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Bytes that still fit.
    pub fn left(&self) -> usize {
        self.room.len() - self.length
    }

    /// Raw bytes.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        match self.room.get_mut(self.length..self.length + bytes.len()) {
            Some(place) if !self.cut => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            _ => self.cut = true,
        }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// Two bytes.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Four bytes.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes each, all or none of them.
    #[inline]
    pub fn words(&mut self, words: &[u64]) {
        let end = self.length + 8 * words.len();
        match self.room.get_mut(self.length..end) {
            Some(place) if !self.cut => {
                let places = place.chunks_exact_mut(8);
                places.zip(words).for_each(|(place, word)| place.copy_from_slice(&word.to_le_bytes()));
                self.length = end;
            }
            _ => self.cut = true,
        }
    }

    /// A length and as many bytes; what is beyond the room is cut off.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.left().saturating_sub(4));
        self.u32(fits as u32);
        self.raw(&bytes[..fits]);
        self.cut |= fits < bytes.len();
    }

    /// Text, as [`Output::bytes`].
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

/// Where an event is read: every read answers `None` beyond the end.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// As many raw bytes.
    pub fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.raw(N)?.try_into().ok()
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length and as many bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.raw(length as usize)
    }

    /// Text; what is not UTF-8 is replaced.
    pub fn text(&mut self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A number of things, each of which takes `least` bytes or more.
    pub fn count(&mut self, least: usize) -> Option<usize> {
        let count = self.u32()? as usize;
        (count <= self.left() / least.max(1)).then_some(count)
    }
}
