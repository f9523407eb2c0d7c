//! Sets of addresses.

/// A set of addresses as ranges: sorted, apart from each other, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// The union of ranges, each an address and a length.
    pub fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut all: Vec<(u64, u64)> =
            ranges.into_iter().filter(|&(_, len)| len > 0).map(|(at, len)| (at, at.saturating_add(len))).collect();
        all.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (from, to) in all {
            match joined.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Spans(joined)
    }

    /// What is in either.
    pub fn with(&self, other: &Spans) -> Spans {
        Spans::of(self.0.iter().chain(&other.0).map(|&(from, to)| (from, to - from)))
    }

    /// What is not in `other`.
    pub fn without(&self, other: &Spans) -> Spans {
        let mut left = Vec::new();
        let mut others = other.0.as_slice();
        for &(mut from, to) in &self.0 {
            while let [(_, end), rest @ ..] = others
                && *end <= from
            {
                others = rest;
            }
            let mut at = 0;
            while let Some(&(begin, end)) = others.get(at)
                && begin < to
            {
                if begin > from {
                    left.push((from, begin));
                }
                from = from.max(end);
                at += 1;
            }
            if from < to {
                left.push((from, to));
            }
        }
        Spans(left)
    }

    /// What is in both.
    pub fn common(&self, other: &Spans) -> Spans {
        self.without(&self.without(other))
    }

    /// The ranges: address and length of each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|&(from, to)| (from, to - from))
    }

    /// Grown to whole words of four bytes: what is told of values of which not every byte differs.
    pub fn in_words(&self) -> Spans {
        let word = |at: u64| at & !3;
        Spans::of(self.0.iter().map(|&(from, to)| (word(from), word(to.saturating_add(3)) - word(from))))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Addresses in it.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// The first range: address and length.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.0.first().map(|&(from, to)| (from, to - from))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Spans;

    fn set(spans: &Spans) -> BTreeSet<u64> {
        spans.0.iter().flat_map(|&(from, to)| from..to).collect()
    }

    proptest::proptest! {
        #[test]
        fn they_are_sets(a in proptest::collection::vec((0u64..60, 0u64..9), 0..12), b in proptest::collection::vec((0u64..60, 0u64..9), 0..12)) {
            let model = |ranges: &[(u64, u64)]| -> BTreeSet<u64> { ranges.iter().flat_map(|&(at, len)| at..at + len).collect() };
            let (one, other) = (Spans::of(a.iter().copied()), Spans::of(b.iter().copied()));
            let (x, y) = (model(&a), model(&b));
            proptest::prop_assert_eq!(set(&one), x.clone());
            proptest::prop_assert_eq!(set(&one.with(&other)), x.union(&y).copied().collect());
            proptest::prop_assert_eq!(set(&one.without(&other)), x.difference(&y).copied().collect());
            proptest::prop_assert_eq!(set(&one.common(&other)), x.intersection(&y).copied().collect());
            proptest::prop_assert_eq!(one.bytes(), x.len() as u64);
            let words = x.iter().flat_map(|at| (at & !3)..(at & !3) + 4).collect();
            proptest::prop_assert_eq!(set(&one.in_words()), words);
            proptest::prop_assert_eq!(Spans::of(one.iter()), one.clone());
            proptest::prop_assert!(one.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
