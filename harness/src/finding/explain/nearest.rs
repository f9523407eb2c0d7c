//! Which id somebody may have meant.

use super::ALL;

/// Longer words are no attempt at an id.
const LONGEST: usize = 4;

/// Up to three ids that somebody who typed `id` may have meant, the likeliest first.
pub fn nearest(id: &str) -> Vec<&'static str> {
    let mut asked = id.trim().to_ascii_uppercase();
    if asked.len() > LONGEST {
        return Vec::new();
    }
    let number = |id: &str| id.get(1..).and_then(|digits| digits.parse::<u32>().ok());
    let asked_number = number(&asked);
    if let Some(number) = asked_number {
        asked = format!("{}{number:02}", &asked[..1]);
    }
    let mut ranked: Vec<_> = ALL
        .iter()
        .map(|text| text.entry.id.as_str())
        .filter_map(|known| {
            let edits = distance(&asked, known);
            let other_family = asked.chars().next() != known.chars().next();
            let apart = asked_number.zip(number(known)).map_or(0, |(asked, known)| asked.abs_diff(known));
            (edits <= 1 || !other_family).then_some((edits, other_family, apart, known))
        })
        .collect();
    ranked.sort_unstable();
    match ranked.first() {
        Some((0, .., known)) => vec![known],
        _ => ranked.into_iter().take(3).map(|(.., known)| known).collect(),
    }
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
    fn a_number_past_the_end_gives_what_looks_like_it_and_the_last_ones() {
        assert_eq!(nearest("S99"), ["S09", "S16", "S15"]);
        assert_eq!(nearest("R09"), ["R05", "R04", "R03"]);
    }

    #[test]
    fn a_wrong_letter_gives_the_same_number() {
        assert_eq!(nearest("X14"), ["A14", "S14", "V14"]);
    }

    #[test]
    fn what_resembles_nothing_gives_nothing() {
        for id in ["", "7", "cudaErrorStreamCaptureUnsupported", "é", "éé"] {
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
