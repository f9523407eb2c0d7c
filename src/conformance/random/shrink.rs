//! Takes lines out of a sequence for as long as its difference stays.

use super::compare::Difference;

/// The fewest lines that still show a difference of the same signature, by their places.
///
/// `differs` runs the lines at some places and tells the first difference. Lines after the difference go
/// first, then ever smaller runs of lines, until no single one can go.
///
/// # Errors
/// Those of `differs`.
pub fn shrink(
    found: &Difference,
    mut differs: impl FnMut(&[usize]) -> anyhow::Result<Option<Difference>>,
) -> anyhow::Result<Vec<usize>> {
    let mut best: Vec<usize> = (0..=found.at).collect();
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        let mut removed = false;
        // The last line is the one that differs.
        while at + size < best.len() {
            let shorter: Vec<usize> = best[..at].iter().chain(&best[at + size..]).copied().collect();
            let same = |difference: Difference| {
                difference.signature() == found.signature() && difference.at + 1 == shorter.len()
            };
            if differs(&shorter)?.is_some_and(same) {
                best = shorter;
                removed = true;
            } else {
                at += size;
            }
        }
        if !(removed && size == 1) {
            size /= 2;
        }
    }
    Ok(best)
}

/// The variables of a sequence by the order in which they first appear, so that equal cases look equal.
pub fn renamed(lines: &[String]) -> Vec<String> {
    let mut known: Vec<(String, String)> = Vec::new();
    let is_name = |word: &str| {
        let (letter, digits) = word.split_at(word.len().min(1));
        letter.chars().all(|c| c.is_ascii_alphabetic())
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_ascii_digit())
    };
    let mut rename = |word: &str| {
        let bare = word.trim_matches(|c| "[]:".contains(c));
        if !is_name(bare) || bare.starts_with('T') {
            return word.to_owned();
        }
        if !known.iter().any(|(old, _)| old == bare) {
            let letter = &bare[..1];
            let count = known.iter().filter(|(_, new)| new.starts_with(letter)).count();
            known.push((bare.to_owned(), format!("{letter}{}", count + 1)));
        }
        let new = known.iter().find(|(old, _)| old == bare).map_or(bare, |(_, new)| new.as_str());
        word.replace(bare, new)
    };
    lines.iter().map(|line| line.split(' ').map(&mut rename).collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_difference_needs_stays() {
        let lines = ["x", "a", "b", "y", "c", "z", "ask", "after"];
        // The line `ask` differs where both `a` and `c` precede it.
        let differs = |places: &[usize]| {
            let chosen: Vec<&str> = places.iter().map(|at| lines[*at]).collect();
            let at = chosen.iter().position(|line| *line == "ask");
            let at = at.filter(|_| chosen.contains(&"a") && chosen.contains(&"c"));
            let answers = ["1".to_owned(), "2".to_owned()];
            Ok(at.map(|at| Difference { at, call: "ask".into(), answers }))
        };
        let found = differs(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap().unwrap();
        assert_eq!(shrink(&found, differs).unwrap(), [1, 4, 6]);
    }

    #[test]
    fn names_are_given_in_order() {
        let lines = ["stream S7 blocking", "thread T1: G9 = cuStreamEndCapture S7", "cuGraphAddEmptyNode G9 [N12 N3]"];
        let renamed = renamed(&lines.map(str::to_owned));
        let want = ["stream S1 blocking", "thread T1: G1 = cuStreamEndCapture S1", "cuGraphAddEmptyNode G1 [N1 N2]"];
        assert_eq!(renamed, want);
    }
}
