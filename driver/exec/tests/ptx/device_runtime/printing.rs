//! `vprintf`.

use std::sync::Mutex;

use graphproof_exec::take_output;

use super::threads;
use crate::common::{Memory, Shape, launch, program};

/// Printed text belongs to the process: one test of it at a time.
static OUTPUT: Mutex<()> = Mutex::new(());

#[test]
fn printing_formats_as_c_does() {
    let _one = OUTPUT.lock().expect("one at a time");
    drop(take_output());
    /// Format, arguments as 8-byte cells (true: of 8 bytes), what C prints.
    type Line<'a> = (&'a str, &'a [(u64, bool)], &'a str);
    let pi = std::f64::consts::PI.to_bits();
    let lines: &[Line<'_>] = &[
        ("plain 100%%\n", &[], "plain 100%\n"),
        (
            "[%d|%5d|%-5d|%05d|%+d|% d]",
            &[(42, false), (42, false), (42, false), (42, false), (42, false), (42, false)],
            "[42|   42|42   |00042|+42| 42]",
        ),
        (
            "[%d %u %x %X %o %#x %#o]",
            &[(u64::MAX, false), (u64::MAX, false), (255, false), (255, false), (8, false), (255, false), (8, false)],
            "[-1 4294967295 ff FF 10 0xff 010]",
        ),
        (
            "[%lld %llu %lx %zu]",
            &[(u64::MAX, true), (u64::MAX, true), (1 << 40, true), (7, true)],
            "[-1 18446744073709551615 10000000000 7]",
        ),
        ("[%.3d|%8.3d|%.0d]", &[(7, false), (7, false), (0, false)], "[007|     007|]"),
        ("[%c%c|%3c]", &[(65, false), (66, false), (67, false)], "[AB|  C]"),
        (
            "[%*d|%-*d|%.*f]",
            &[(6, false), (42, false), (4, false), (9, false), (2, false), (pi, true)],
            "[    42|9   |3.14]",
        ),
        (
            "[%f %.2f %9.3f %-9.1f| %e %.0e %E]",
            &[(pi, true), (pi, true), (pi, true), (pi, true), (pi, true), (pi, true), (pi, true)],
            "[3.141593 3.14     3.142 3.1      | 3.141593e+00 3e+00 3.141593E+00]",
        ),
        (
            "[%g %g %g %g]",
            &[
                (1e-5f64.to_bits(), true),
                (123_456_789f64.to_bits(), true),
                (0.5f64.to_bits(), true),
                (100f64.to_bits(), true),
            ],
            "[1e-05 1.23457e+08 0.5 100]",
        ),
        (
            "[%f %F %+f %08.1f]",
            &[
                (f64::NAN.to_bits(), true),
                (f64::INFINITY.to_bits(), true),
                (1f64.to_bits(), true),
                ((-2.5f64).to_bits(), true),
            ],
            "[nan INF +1.000000 -00002.5]",
        ),
        ("[%a %.2a]", &[(1f64.to_bits(), true), (pi, true)], "[0x1p+0 0x1.92p+1]"),
        ("[%p]", &[(0x1234, true)], "[0x1234]"),
        ("100%", &[], "100%"),
        ("%q", &[], "%q"),
    ];
    for (format, arguments, expected) in lines {
        let (mut at, mut stores) = (0u64, String::new());
        for (value, wide) in *arguments {
            let size = if *wide { 8 } else { 4 };
            at = at.next_multiple_of(size);
            let value = if *wide { *value } else { *value & 0xffff_ffff };
            stores += &format!("st.local.b{} [args+{at}], {value};\n", 8 * size);
            at += size;
        }
        let bytes: Vec<String> = format.bytes().chain([0]).map(|byte| byte.to_string()).collect();
        let text = threads(
            ".extern .func (.param .b32 n) vprintf (.param .b64 format, .param .b64 arguments);\n",
            &format!(
                ".local .align 8 .b8 args[128];\n.shared .align 1 .b8 text[{}];\n{}{stores}\
                 mov.u64 %rd2, text;\ncvta.shared.u64 %rd2, %rd2;\nmov.u64 %rd3, args;\ncvta.local.u64 %rd3, %rd3;\n\
                 {{\n.param .b64 f;\n.param .b64 a;\n.param .b32 n;\nst.param.b64 [f], %rd2;\nst.param.b64 [a], %rd3;\n\
                 call.uni (n), vprintf, (f, a);\nld.param.b32 %r5, [n];\n}}\nst.global.u32 [%rd0], %r5;",
                bytes.len(),
                bytes.iter().enumerate().map(|(n, b)| format!("st.shared.u8 [text+{n}], {b};\n")).collect::<String>(),
            ),
        );
        let mut memory = Memory::new();
        let out = memory.words(&[9]);
        let shape = Shape { block: [1; 3], ..Shape::default() };
        launch(&program(&text), shape, &memory, &[out]).expect("no fault");
        assert_eq!(String::from_utf8(take_output()).expect("UTF-8"), *expected, "{format}");
        // A `*` is no argument of its own in what is returned.
        let stars = format.matches('*').count();
        assert_eq!(memory.read_words(0)[0] as usize, arguments.len() - stars, "{format}");
    }
}

#[test]
fn every_lane_prints_and_the_newest_megabyte_is_kept() {
    let _one = OUTPUT.lock().expect("one at a time");
    drop(take_output());
    // `%99d`: long lines, so that few threads print more than is kept.
    let body = ".shared .align 1 .b8 text[8];\nst.shared.u8 [text], 37;\nst.shared.u8 [text+1], 57;\n\
                st.shared.u8 [text+2], 57;\nst.shared.u8 [text+3], 100;\nst.shared.u8 [text+4], 10;\nst.shared.u8 [text+5], 0;\n.local .align 8 .b8 args[8];\nst.local.u32 [args], %r0;\n\
                mov.u64 %rd2, text;\ncvta.shared.u64 %rd2, %rd2;\nmov.u64 %rd3, args;\ncvta.local.u64 %rd3, %rd3;\n\
                call (%r5), vprintf, (%rd2, %rd3);";
    let declarations = ".extern .func (.reg .b32 n) vprintf (.reg .b64 format, .reg .b64 arguments);\n";
    let program = program(&threads(declarations, body));
    let mut memory = Memory::new();
    let out = memory.words(&[9]);
    launch(&program, Shape { block: [70, 1, 1], ..Shape::default() }, &memory, &[out]).expect("no fault");
    let text = String::from_utf8(take_output()).expect("UTF-8");
    let mut numbers: Vec<u32> = text.lines().map(|line| line.trim().parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..70).collect::<Vec<_>>());
    assert_eq!(take_output(), Vec::<u8>::new());
    let shape = Shape { grid: [11, 1, 1], block: [1024, 1, 1], ..Shape::default() };
    launch(&program, shape, &memory, &[out]).expect("no fault");
    assert_eq!(take_output().len(), 1 << 20);
}
