//! Round times on an axis.

/// Round times on an axis of `length` nanoseconds: the place from 0 to 1, and the text.
pub fn ticks(length: u64) -> Vec<(f64, String)> {
    let rough = length as f64 / 6.0;
    let power = 10_f64.powf(rough.max(1.0).log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&step| step >= rough).unwrap_or(power);
    let (unit, name) = match length {
        0..2_000 => (1.0, "ns"),
        2_000..2_000_000 => (1e3, "µs"),
        2_000_000..2_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let number = (length as f64 / step) as usize;
    (0..=number)
        .map(|at| {
            let value = at as f64 * step;
            let digits = if step / unit < 1.0 { 1 } else { 0 };
            (value / length as f64, format!("{:.digits$} {name}", value / unit))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn the_axis_has_round_times_in_one_unit() {
        let texts = |length| ticks(length).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(1_000), ["0 ns", "200 ns", "400 ns", "600 ns", "800 ns", "1000 ns"]);
        assert_eq!(texts(27_000_000), ["0 ms", "5 ms", "10 ms", "15 ms", "20 ms", "25 ms"]);
        assert!(!ticks(1).is_empty() && ticks(u64::MAX).len() < 12);
    }
}
