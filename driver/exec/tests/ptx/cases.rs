//! Text cases: every `.ptx` file in `tests/cases/` with what it must do.
//!
//! A case begins with comments: `// run: grid=2 block=64 shared=0` (all optional), then
//! `// expect: 1 2 3 …` (the first words of `out`, in hexadecimal or decimal), or
//! `// fault: text` (a part of the message), or `// error: text` (a line of the parse error,
//! in order; several lines may be given).

use crate::common::{Memory, Shape, fewer, launch};
use graphproof_exec::{Isa, Program};

struct Case {
    shape: Shape,
    words: usize,
    expect: Vec<u32>,
    fault: Option<String>,
    errors: Vec<String>,
}

fn number(text: &str) -> u32 {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse::<i64>().map(|v| v as u32),
    };
    parsed.unwrap_or_else(|_| panic!("`{text}` is not a number"))
}

fn read(text: &str) -> Case {
    let mut case = Case { shape: Shape::default(), words: 64, expect: vec![], fault: None, errors: vec![] };
    for line in text.lines().filter_map(|l| l.strip_prefix("// ")) {
        if let Some(rest) = line.strip_prefix("run:") {
            for word in rest.split_whitespace() {
                match word.split_once('=') {
                    Some(("grid", n)) => case.shape.grid[0] = number(n),
                    Some(("block", n)) => case.shape.block[0] = number(n),
                    Some(("shared", n)) => case.shape.shared = number(n),
                    Some(("words", n)) => case.words = number(n) as usize,
                    _ => panic!("unknown setting `{word}`"),
                }
            }
        } else if let Some(rest) = line.strip_prefix("expect:") {
            for word in rest.split_whitespace() {
                match word.split_once('*') {
                    Some((count, value)) => case.expect.extend(vec![number(value); number(count) as usize]),
                    None => case.expect.push(number(word)),
                }
            }
        } else if let Some(rest) = line.strip_prefix("fault:") {
            case.fault = Some(rest.trim().to_owned());
        } else if let Some(rest) = line.strip_prefix("error:") {
            case.errors.push(rest.trim().to_owned());
        }
    }
    case
}

fn check(text: &str) -> Result<(), String> {
    let case = read(text);
    if !case.errors.is_empty() {
        let Err(error) = Program::from_ptx(text) else { return Err("no error".to_owned()) };
        let message = error.to_string();
        let mut rest = message.as_str();
        for wanted in &case.errors {
            let Some(at) = rest.find(wanted.as_str()) else { return Err(format!("`{wanted}` is not in\n{message}")) };
            rest = &rest[at + wanted.len()..];
        }
        return Ok(());
    }
    // Under a memory checker one way of each case; of the others nothing else is to be expected.
    let ways = Isa::available().into_iter().rev().flat_map(|isa| [99, 0, 1].map(|seed| (isa, seed)));
    let ways = ways.flat_map(|(isa, seed)| [3, 1].map(|threads| (isa, seed, threads)));
    for (isa, seed, threads) in ways.take(fewer(400) as usize) {
        let program = Program::from_ptx_for(text, isa).map_err(|error| error.to_string())?;
        let mut memory = Memory::new();
        let out = memory.words(&vec![0; case.words]);
        let result = launch(&program, Shape { seed, threads, ..case.shape }, &memory, &[out]);
        let how = format!("on {isa:?}, seed {seed}, {threads} threads");
        match (&case.fault, result) {
            (None, Ok(_)) => {
                let words = memory.read_words(0);
                let found = &words[..case.expect.len()];
                if found != case.expect {
                    return Err(format!("{how}: found {found:?}, expected {:?}", case.expect));
                }
            }
            (Some(wanted), Err(fault)) => {
                let message = fault.to_string();
                if !message.contains(wanted) {
                    return Err(format!("{how}: `{wanted}` is not in `{message}`"));
                }
            }
            (None, Err(fault)) => return Err(format!("{how}: {fault}")),
            (Some(wanted), Ok(_)) => return Err(format!("{how}: no fault, expected `{wanted}`")),
        }
    }
    Ok(())
}

#[test]
fn every_case_does_what_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let (mut count, mut problems) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("the folder of cases") {
        let path = entry.expect("a case").path();
        if path.extension().is_some_and(|e| e == "ptx") {
            let text = std::fs::read_to_string(&path).expect("a readable case");
            if let Err(problem) = check(&text) {
                problems.push(format!("{}: {problem}", path.file_name().unwrap_or_default().to_string_lossy()));
            }
            count += 1;
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 30, "only {count} cases were found");
}
