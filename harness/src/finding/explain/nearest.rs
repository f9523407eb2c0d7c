//! Which id somebody may have meant.

use super::ALL;

/// Up to three ids that differ least from `id`, the nearest first; none if all are far.
pub fn nearest(id: &str) -> Vec<&'static str> {
    let asked = id.trim().to_ascii_uppercase();
    let number = |id: &str| id.get(1..).and_then(|digits| digits.parse::<i64>().ok());
    let mut ranked: Vec<_> = ALL
        .iter()
        .map(|text| text.entry.id)
        .map(|known| {
            let apart = match (number(&asked), number(known)) {
                (Some(asked), Some(known)) => asked.saturating_sub(known).saturating_abs(),
                _ => i64::MAX,
            };
            let same_family = asked.chars().next() == known.chars().next();
            // `S1` is S01 and nothing else; `S99` lies past the last S; `X07` has a wrong letter.
            let rank = match (same_family, apart) {
                (true, 0) => 0,
                (true, _) if distance(&asked, known) <= 1 => 1,
                (true, i64::MAX) => 4,
                (true, _) => 2,
                (false, 0) => 3,
                (false, _) => 5,
            };
            (rank, apart, known)
        })
        .filter(|(rank, _, known)| *rank < 4 || distance(&asked, known) <= 2 && asked.len() >= 2)
        .collect();
    ranked.sort_unstable();
    let best = ranked.first().map_or(0, |(rank, ..)| *rank);
    ranked.into_iter().filter(|(rank, ..)| *rank == best).take(3).map(|(.., known)| known).collect()
}

/// Levenshtein's distance, over bytes: ids are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_missing_zero_is_filled_in() {
        assert_eq!(nearest("s1"), ["S01"]);
        assert_eq!(nearest("A7"), ["A07"]);
    }

    #[test]
    fn a_number_past_the_end_gives_the_last_ones() {
        assert_eq!(nearest("S99"), ["S14", "S13", "S12"]);
        assert_eq!(nearest("R09")[0], "R04");
    }

    #[test]
    fn a_wrong_letter_gives_the_same_number() {
        assert_eq!(nearest("X14"), ["S14"]);
    }

    #[test]
    fn what_resembles_nothing_gives_nothing() {
        for id in ["", "cudaErrorStreamCaptureUnsupported", "é", "S99999999999999999999"] {
            assert!(nearest(id).is_empty(), "{id}: {:?}", nearest(id));
        }
    }

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("", "S01"), 3);
        assert_eq!(distance("S1", "S01"), 1);
        assert_eq!(distance("S01", "S01"), 0);
    }
}
