//! Bit fields whose place is written in the instruction.

use proptest::prelude::*;

use super::harness::{hold, lanes};

/// `bfe` of a word, as PTX defines it.
fn field(a: u32, position: u32, length: u32, signed: bool) -> u32 {
    let bit = |n: u32| n < 32 && a >> n & 1 == 1;
    let sign = signed && length > 0 && bit((position + length - 1).min(31));
    (0..32).fold(0, |d, n| {
        let set = if n < length && position + n < 32 { bit(position + n) } else { sign };
        d | u32::from(set) << n
    })
}

#[test]
fn a_field_at_a_constant_place() {
    let place = || prop_oneof![2 => 0u32..34, 1 => 0u32..256];
    hold(60, (place(), place(), any::<bool>()), |(position, length, signed)| {
        let ty = if signed { "s32" } else { "u32" };
        lanes(&format!("bfe.{ty} %q0, %r0, {position}, {length};"), 1, 1, |w| {
            // Outside the word an H200 gives -1, where PTX's text has copies of the sign.
            let outside = signed && position >= 32 && length > 0;
            vec![if outside { u32::MAX } else { field(w[0], position, length, signed) }]
        });
        // The word is known too.
        let word = 0x8000_0200u32 >> (position % 2);
        lanes(&format!("bfe.{ty} %q0, {word}, {position}, {length};"), 1, 1, |_| {
            vec![field(word, position, length, signed)]
        });
        // The place in registers.
        let text = format!("mov.u32 %t1, %r1;\nmov.u32 %t2, %r2;\nbfe.{ty} %q0, %r0, %t1, %t2;");
        lanes(&text, 3, 1, |w| vec![field(w[0], w[1] & 255, w[2] & 255, signed)]);
    });
}
