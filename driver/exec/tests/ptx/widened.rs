//! Property test: reads and writes at the end of memory. A vector read that begins inside passes,
//! as on hardware, and is noted; what `.pragma "used_bytes_mask"` says is not used does not count;
//! every other access is exact.

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::{FaultKind, Isa};
use proptest::prelude::*;

/// Bytes of an element, elements, and how PTX writes them.
const FORMS: [(u64, usize, &str); 9] = [
    (1, 1, "u8"),
    (2, 1, "u16"),
    (4, 1, "u32"),
    (8, 1, "u64"),
    (1, 4, "v4.u8"),
    (2, 2, "v2.u16"),
    (4, 2, "v2.u32"),
    (4, 4, "v4.u32"),
    (8, 2, "v2.u64"),
];

/// What a kernel does at the end of a memory.
#[derive(Debug, Clone, Copy)]
struct Access {
    form: usize,
    shared: bool,
    wide: bool,
    write: bool,
    /// Bytes of the memory.
    len: u64,
    /// How many lanes access it, one behind the other.
    lanes: u64,
    /// A mask of used bytes, if one is given.
    used: Option<u32>,
}

fn kernel(a: Access) -> String {
    let (size, count, form) = FORMS[a.form];
    let space = if a.shared { "shared" } else { "global" };
    let base = match (a.shared, a.wide) {
        (false, _) => "%at",
        (true, true) => "%far",
        (true, false) => "%narrow",
    };
    let width = size * count as u64;
    let (kind, letter) = match size {
        8 => ("b64", "d"),
        4 => ("b32", "w"),
        _ => ("b16", "h"),
    };
    let names: Vec<String> = (0..count).map(|n| format!("%{letter}{n}")).collect();
    let value = if count == 1 { names[0].clone() } else { format!("{{{}}}", names.join(", ")) };
    let pragma = a.used.map_or(String::new(), |mask| format!(".pragma \"used_bytes_mask {mask}\";\n"));
    let access = if a.write {
        format!("st.{space}.{form} [{base}], {value};")
    } else {
        format!("{pragma}ld.{space}.{form} {value}, [{base}];")
    };
    // The low 32 bits of the first element.
    let fold: String = names
        .iter()
        .take(1)
        .map(|name| match size {
            8 => format!("cvt.u32.u64 %t, {name};\nadd.u32 %sum, %sum, %t;\n"),
            4 => format!("add.u32 %sum, %sum, {name};\n"),
            _ => format!("cvt.u32.u16 %t, {name};\nadd.u32 %sum, %sum, %t;\n"),
        })
        .collect();
    format!(
        ".version 8.3\n.target sm_80\n.address_size 64\n.extern .shared .align 16 .b8 room[];\n\
         .visible .entry k(.param .u64 memory, .param .u64 out, .param .u64 first)\n{{\n\
         .reg .pred %p;\n.reg .{kind} %{letter}<4>;\n.reg .b32 %t, %sum, %id, %narrow;\n.reg .b64 %at, %far, %out, %first, %by;\n\
         mov.u32 %id, %tid.x;\nsetp.ge.u32 %p, %id, {lanes};\n@%p bra E;\n\
         ld.param.u64 %first, [first];\nmul.wide.u32 %by, %id, {width};\nadd.u64 %first, %first, %by;\n\
         ld.param.u64 %at, [memory];\nadd.u64 %at, %at, %first;\ncvt.u32.u64 %narrow, %first;\n\
         mov.u32 %t, room;\nadd.u32 %narrow, %narrow, %t;\ncvt.u64.u32 %far, %narrow;\n\
         mov.u32 %sum, 0;\n{access}\n{fold}\
         ld.param.u64 %out, [out];\nmul.wide.u32 %by, %id, 4;\nadd.u64 %out, %out, %by;\nst.global.u32 [%out], %sum;\n\
         E:\nret;\n}}\n",
        lanes = a.lanes,
    )
}

/// What lane n's access at byte `at` comes to: bytes behind the end, or a fault.
fn expected(a: Access, at: u64) -> Result<u64, ()> {
    let (size, count, _) = FORMS[a.form];
    let width = size * count as u64;
    let end = at + width;
    if end <= a.len {
        return Ok(0);
    }
    let used = a.used.filter(|_| !a.write).map(|mask| mask & ((1u64 << width) - 1) as u32).filter(|&mask| mask != 0);
    let needed = match used {
        Some(mask) => (0..32).filter(|bit| mask >> bit & 1 != 0).map(|bit| bit + 1).max().unwrap_or(0),
        None if a.write || count == 1 => width,
        None => size,
    };
    let lowest = used.map_or(0, |mask| (0..32).find(|bit| mask >> bit & 1 != 0).unwrap_or(0));
    if at + lowest < a.len && at + needed <= a.len { Ok(if used.is_some() { 0 } else { end - a.len }) } else { Err(()) }
}

#[test]
fn the_end_of_memory_is_exact_but_for_what_compilers_widen() {
    let isas = Isa::available();
    let mask = prop_oneof![2 => Just(None), 1 => any::<u32>().prop_map(Some), 1 => Just(Some(3855)), 1 => (1u32..16).prop_map(Some)];
    let inputs = (
        (0..FORMS.len(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.25)),
        (1u64..70, 0u64..20, 1u64..33),
        (mask, 0..isas.len()),
    );
    runner(2000)
        .run(&inputs, |((form, shared, wide, write), (len, at, lanes), (used, isa))| {
            let (size, count, _) = FORMS[form];
            let width = size * count as u64;
            let a = Access { form, shared, wide, write, len, lanes, used };
            let text = kernel(a);
            let mut memory = Memory::new();
            let bytes: Vec<u8> = (0..len as u8).map(|b| b.wrapping_mul(37) ^ 5).collect();
            let base = memory.put(&bytes);
            let out = memory.words(&[0xabad_1dea; 32]);
            let shape = Shape { shared: if shared { len as u32 } else { 0 }, ..Shape::default() };
            let ran = launch(&program_for(&text, isas[isa]), shape, &memory, &[base, out, at * width]);
            let each: Vec<_> = (0..lanes).map(|lane| expected(a, (at + lane) * width)).collect();
            let first = each.iter().position(Result::is_err);
            match (first, ran) {
                (Some(lane), Err(fault)) => {
                    prop_assert!(matches!(fault.kind, FaultKind::IllegalAddress { .. }), "{fault}\n{text}");
                    prop_assert_eq!(fault.thread[0] as usize, lane);
                }
                (None, Ok(stats)) => {
                    let beyond = each.iter().copied().flatten().find(|&n| n > 0);
                    prop_assert_eq!(stats.widened.map(|read| u64::from(read.beyond)), beyond, "{}", text);
                    if !shared && !write && used.is_none() {
                        let words = memory.read_words(1);
                        for (lane, &word) in words.iter().enumerate().take(lanes as usize) {
                            let place = (at as usize + lane) * width as usize;
                            let element = (0..size.min(4) as usize).map(|n| u32::from(bytes[place + n]) << (8 * n));
                            prop_assert_eq!(word, element.sum::<u32>(), "lane {}\n{}", lane, text);
                        }
                    }
                }
                (first, ran) => prop_assert!(false, "lane {first:?} should fail: {ran:?}, {a:?}\n{text}"),
            }
            Ok(())
        })
        .unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn a_widened_read_must_be_aligned_and_is_told_where() {
    let text = |offset: u32| {
        format!(
            ".version 8.3\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 memory)\n{{\n\
             .reg .b32 %r<4>;\n.reg .b64 %at;\nld.param.u64 %at, [memory];\n\
             ld.global.v4.u32 {{%r0, %r1, %r2, %r3}}, [%at+{offset}];\nret;\n}}\n"
        )
    };
    let mut memory = Memory::new();
    let base = memory.put(&[1; 44]);
    let read = match launch(&program_for(&text(32), Isa::detect()), Shape::default(), &memory, &[base]) {
        Ok(stats) => stats.widened.expect("the read is noted"),
        Err(fault) => panic!("{fault}"),
    };
    assert_eq!((read.address, read.size, read.beyond, read.ptx_line), (base + 32, 16, 4, 9));
    assert!(read.to_string().starts_with("16-byte read of global address"), "{read}");
    let Err(fault) = launch(&program_for(&text(36), Isa::detect()), Shape::default(), &memory, &[base]) else {
        panic!("a misaligned read passed")
    };
    assert!(matches!(fault.kind, FaultKind::MisalignedAddress { .. }), "{fault}");
}
