//! Against what an H200 did.

use std::collections::{BTreeMap, BTreeSet};

use graphproof_exec::tensor_map::{TensorMap, Window};

use super::{Case, ROOM, Way};

/// Bytes of the parts in which the tensor's memory is given.
const PART: u64 = 4096;
/// What is in shared memory before a load, as the probe had it.
const UNTOUCHED: [u32; 4] = [0xdead_beef; 4];

/// The numbers of a list; filled up with `rest`.
fn numbers<T: Copy, const N: usize>(list: &str, radix: u32, rest: T, to: impl Fn(i64) -> T) -> [T; N] {
    let mut found = [rest; N];
    for (place, number) in found.iter_mut().zip(list.split(',')) {
        *place = to(i64::from_str_radix(number, radix).expect("a number"));
    }
    found
}

/// The case and the units of a line of `h200.txt`, which says how it is written.
fn parse(line: &str) -> (Way, Case, Vec<&str>) {
    let (head, units) = line.split_once(" : ").expect("units behind a colon");
    let words: Vec<&str> = head.split(' ').collect();
    let small = |n: usize| words[n].parse::<u8>().expect("a small number");
    let coordinates = words[9].split(',').map(|n| n.parse().expect("a coordinate"));
    let corner: Vec<i32> = coordinates.collect();
    let map = TensorMap {
        data_type: small(3),
        rank: corner.len() as u8,
        interleave: small(1),
        swizzle: small(2),
        l2_promotion: 0,
        fill: small(4),
        address: 0,
        dimensions: numbers(words[5], 10, 1, |n| n as u64),
        strides: numbers(words[6], 16, 0, |n| n as u64),
        element_strides: numbers(words[8], 10, 1, |n| n as u8),
        window: Window::Tiled(numbers(words[7], 10, 1, |n| n as u16)),
    };
    let way = if words[0] == "load" { Way::Load } else { Way::Store };
    (way, Case { map, corner, seed: 0 }, units.split(' ').collect())
}

/// What stands before the star, and each of the numbers up to the one behind it.
fn repeated(unit: &str) -> (&str, std::ops::Range<u64>) {
    let (what, count) = unit.split_once('*').unwrap_or((unit, "1"));
    (what, 0..count.parse().expect("a count"))
}

fn unit(number: &str) -> u64 {
    u64::from_str_radix(number, 16).expect("a unit")
}

fn bytes_of(words: &[[u32; 4]]) -> Vec<u8> {
    words.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The parts of the tensor's memory in which these units lie, each word as `word` says by its number.
fn parts(units: impl Iterator<Item = u64>, word: impl Fn(u32) -> u32) -> Vec<(u64, Vec<u8>)> {
    let touched: BTreeSet<u64> = units.map(|unit| unit * 16 / PART).collect();
    let bytes = |part: u64| {
        let first = (part * PART / 4) as u32;
        (first..first + PART as u32 / 4).flat_map(|n| word(n).to_le_bytes()).collect()
    };
    touched.into_iter().map(|part| (part * PART, bytes(part))).collect()
}

fn loaded(case: &Case, units: &[&str], line: &str) {
    let words = |unit: u64| [1, 2, 3, 4].map(|n| unit as u32 * 4 + n);
    let mut expected = Vec::new();
    let mut from = Vec::new();
    for (what, count) in units.iter().map(|unit| repeated(unit)) {
        for n in count {
            expected.push(match what {
                "z" => [0; 4],
                "n" => [0x7ff7_7ff7; 4],
                "." => UNTOUCHED,
                first => {
                    from.push(unit(first) + n);
                    words(unit(first) + n)
                }
            });
        }
    }
    let parts = parts(from.into_iter(), |n| n + 1);
    // To the end of the last line that is swizzled, and the one behind it.
    let room = expected.len().next_multiple_of(8) + 8;
    expected.resize(room, UNTOUCHED);
    let ran = case.run(Way::Load, false, &bytes_of(&vec![UNTOUCHED; room]), &parts);
    assert_eq!(ran.unwrap_or_else(|fault| panic!("{line}: {fault}")).0, bytes_of(&expected), "{line}");
}

fn stored(case: &Case, units: &[&str], line: &str) {
    let mut moved = BTreeMap::new();
    for (what, count) in units.iter().map(|unit| repeated(unit)).filter(|(what, _)| what.contains('<')) {
        let (to, from) = what.split_once('<').expect("two units");
        moved.extend(count.map(|n| (unit(to) + n, unit(from) + n)));
    }
    let words = |unit: u64| [0, 1, 2, 3].map(|n| 0x8000_0000 + unit as u32 * 4 + n);
    let tile: Vec<[u32; 4]> = (0..ROOM as u64 / 16).map(words).collect();
    let parts = parts(moved.keys().copied(), |_| 0);
    let ran = case.run(Way::Store, false, &bytes_of(&tile), &parts);
    if units == ["fault"] {
        let fault = ran.map(|_| "none".to_owned()).unwrap_or_else(|fault| fault.to_string());
        assert!(fault.contains("a box to be stored begins at coordinate -"), "{line}: {fault}");
        return;
    }
    let (_, found) = ran.unwrap_or_else(|fault| panic!("{line}: {fault}"));
    for ((at, _), found) in parts.iter().zip(found) {
        let there = (at / 16..(at + PART) / 16).map(|unit| moved.get(&unit).map_or([0; 4], |&from| words(from)));
        assert_eq!(found, bytes_of(&there.collect::<Vec<_>>()), "{line}: at {at:#x}");
    }
}

#[test]
fn boxes_are_where_an_h200_has_them() {
    let cases = include_str!("h200.txt").lines().filter(|line| !line.starts_with('#'));
    for line in cases {
        let (way, case, units) = parse(line);
        assert_eq!(case.map.check(), Ok(()), "{line}");
        match way {
            Way::Load => loaded(&case, &units, line),
            _ => stored(&case, &units, line),
        }
    }
}
