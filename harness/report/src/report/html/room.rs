//! How much may be drawn.

use maud::{Markup, html};

/// Bytes left for one kind of content.
pub struct Room {
    left: usize,
}

impl Room {
    /// Room for `bytes`.
    pub fn new(bytes: usize) -> Self {
        Room { left: bytes }
    }

    /// `markup`, if there is still room for it.
    pub fn take(&mut self, markup: Markup) -> Option<Markup> {
        let bytes = markup.0.len();
        if bytes > self.left {
            return None;
        }
        self.left -= bytes;
        Some(markup)
    }
}

/// Draws each of `order` while there is room, the first ones first, and returns what was drawn in
/// the order of its index, each beside its index, and the indices of those left out.
pub fn draw(order: &[usize], bytes: usize, draw: impl Fn(usize) -> Markup) -> (Vec<(usize, Markup)>, Vec<usize>) {
    let mut room = Room::new(bytes);
    let (mut drawn, mut left_out) = (Vec::new(), Vec::new());
    for &index in order {
        // Once something found no room, nothing after it is even made.
        match left_out.is_empty().then(|| room.take(draw(index))).flatten() {
            Some(markup) => drawn.push((index, markup)),
            None => left_out.push(index),
        }
    }
    drawn.sort_by_key(|(index, _)| *index);
    left_out.sort_unstable();
    (drawn, left_out)
}

/// Makes `items` one after the other while there is room for them in `bytes`, and returns them and
/// the number of those left out.
pub fn fill<T>(bytes: usize, items: impl Iterator<Item = T>, make: impl Fn(T) -> Markup) -> (Vec<Markup>, u64) {
    let mut room = Room::new(bytes);
    let (mut made, mut left_out) = (Vec::new(), 0);
    for item in items {
        match (left_out == 0).then(|| room.take(make(item))).flatten() {
            Some(markup) => made.push(markup),
            None => left_out += 1,
        }
    }
    (made, left_out)
}

/// A line that says what is missing.
pub fn missing(what: &str, where_: &str) -> Markup {
    html! { p.missing { "Left out to keep this file small: " (what) ". " (where_) } }
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::draw;

    #[test]
    fn the_first_in_order_are_drawn_and_the_rest_is_named() {
        let (drawn, left_out) = draw(&[2, 0, 1, 3], 8, |index| html! { "abc" (index) });
        assert_eq!(drawn.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(left_out, [1, 3]);
    }
}
