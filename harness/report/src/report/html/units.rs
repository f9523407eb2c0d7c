//! Numbers as the report writes them.

/// A coordinate: one decimal at most, so that files stay small.
pub fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `1 node`, `2 nodes`.
pub fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `text`, cut to `most` characters with an ellipsis.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `text` in lines of at most `columns` characters, folded at spaces and behind commas, and inside a word
/// only where one is wider; `most` lines, the last of them cut.
pub fn lines(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', ',']) {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + word.trim_end().chars().count() > columns {
            lines.push(String::new());
        }
        for letter in word.chars() {
            if lines.last().is_none_or(|line| line.chars().count() >= columns) && letter != ' ' {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(letter);
            }
        }
    }
    if lines.len() > most {
        let rest = lines.split_off(most - 1).concat();
        lines.push(cut(&rest, columns));
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A time of day in UTC: `2026-01-31 09:05:00 UTC`, from seconds since 1970-01-01.
pub fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    // Whole cycles of 400 years first: a receipt may claim any time.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month as u64 + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_dates_are_right() {
        assert_eq!((n(1.0), n(2.25), n(-0.5)), ("1".to_owned(), "2.2".to_owned(), "-0.5".to_owned()));
        assert_eq!(
            (grouped(999), grouped(1_000), grouped(12_345_678)),
            ("999".into(), "1,000".into(), "12,345,678".into())
        );
        assert_eq!((count(1, "node"), count(0, "node")), ("1 node".into(), "0 nodes".into()));
        assert_eq!((cut("abcdef", 6), cut("abcdefg", 6)), ("abcdef".into(), "abcde…".into()));
        assert_eq!(lines("materialized, b=1,h=8", 19, 3), ["materialized, b=1,", "h=8"]);
        assert_eq!(lines("abcdefgh", 3, 3), ["abc", "def", "gh"]);
        assert_eq!(lines("abcdefgh ij", 3, 2), ["abc", "de…"]);
        assert_eq!(lines("", 3, 2), [""]);
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_648_150), "2026-11-25 23:09:10 UTC");
        assert!(utc(u64::MAX).ends_with("UTC"));
    }
}
