//! Dynamic shared memory behind static variables: where it begins, and that it is all there.

use crate::common::{Memory, Shape, launch, program, runner};
use proptest::prelude::*;

/// A kernel whose thread fills its static variable with 1 and its dynamic memory of `bytes` bytes with 2, and gives the
/// address of the latter, and what the first and the last byte of the former hold then.
fn text(len: u32, align: u32, aligns: &[u32], bytes: u32) -> String {
    let variables: String = aligns
        .iter()
        .enumerate()
        .map(|(n, align)| format!(".extern .shared .align {align} .b8 room{n}[];\n"))
        .collect();
    let uses: String = (0..aligns.len()).map(|n| format!("mov.u32 %at, room{n};\n")).collect();
    let fill = |name: &str, from: &str, len: u32, value: u32| {
        format!(
            "mov.u32 %n, 0;\nmov.u32 %to, {from};\n{name}:\nadd.u32 %r, %to, %n;\nst.shared.u8 [%r], {value};\n\
             add.u32 %n, %n, 1;\nsetp.lt.u32 %p, %n, {len};\n@%p bra {name};\n"
        )
    };
    let [kept, room] = [fill("KEPT", "kept", len, 1), fill("ROOM", "%at", bytes, 2)];
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n{variables}\
         .visible .entry k(.param .u64 out)\n{{\n.shared .align {align} .b8 kept[{len}];\n\
         .reg .pred %p;\n.reg .b32 %at, %to, %n, %r, %first, %last;\n.reg .b64 %out;\n\
         {uses}{kept}{room}ld.shared.u8 %first, [kept];\nld.shared.u8 %last, [kept+{last}];\n\
         ld.param.u64 %out, [out];\nst.global.u32 [%out], %at;\nst.global.u32 [%out+4], %first;\n\
         st.global.u32 [%out+8], %last;\nret;\n}}\n",
        last = len - 1,
    )
}

#[test]
fn it_begins_at_a_multiple_of_what_its_variables_ask_for() {
    let power = |most: u32| (0..=most).prop_map(|power| 1u32 << power);
    let inputs = (1u32..300, power(7), prop::collection::vec(power(10), 1..3), 1u32..2000);
    runner(200)
        .run(&inputs, |(len, align, aligns, bytes)| {
            let mut memory = Memory::new();
            let out = memory.words(&[0; 3]);
            let shape = Shape { block: [1; 3], shared: bytes, ..Shape::default() };
            launch(&program(&text(len, align, &aligns, bytes)), shape, &memory, &[out])
                .map_err(|fault| TestCaseError::fail(fault.to_string()))?;
            let found = memory.read_words(0);
            let begin = len.next_multiple_of(*aligns.iter().max().expect("one at least").max(&16));
            prop_assert_eq!(found, [begin, 1, 1]);
            Ok(())
        })
        .unwrap();
}
