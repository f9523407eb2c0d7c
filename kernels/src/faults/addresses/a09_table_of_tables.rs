//! A09: a cache gives a table of tables that was made for other buffers.
//!
//! Planted: the table that is made at the first call serves every call; it leads to a second table, and only
//! that holds the address of a buffer.
//! Stands for: pytorch/helion#2817, two levels deep.
//! Found by: following words of memory that lead to memory, where replays do not agree. Clean twin: tables for
//! each address.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "A09",
    name: "table-of-tables",
    group: Group::Addresses,
    title: "gets a table of tables of other buffers from a cache",
    stands_for: "pytorch/helion#2817, two levels deep",
    expected: Expected::new(Id::A09, Check::Addresses),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

/// A kernel that adds to x what the second table behind a table leads to.
const ADD_THROUGH_TWO: &str = ".version 7.0\n.target sm_70\n.address_size 64\n\
    .visible .entry add_through_two(.param .u64 table, .param .u64 x, .param .u64 y)\n{\n\
    .reg .b32 %r<2>;\n.reg .b64 %rd<8>;\n.reg .f32 %f<4>;\n\
    ld.param.u64 %rd1, [table];\nld.param.u64 %rd2, [x];\nld.param.u64 %rd3, [y];\n\
    ld.global.u64 %rd1, [%rd1];\nld.global.u64 %rd1, [%rd1];\n\
    mov.u32 %r1, %tid.x;\nmul.wide.u32 %rd4, %r1, 4;\n\
    add.s64 %rd5, %rd1, %rd4;\nadd.s64 %rd6, %rd2, %rd4;\nadd.s64 %rd7, %rd3, %rd4;\n\
    ld.global.f32 %f1, [%rd5];\nld.global.f32 %f2, [%rd6];\nadd.f32 %f3, %f1, %f2;\n\
    st.global.f32 [%rd7], %f3;\nret;\n}\n";

fn step(variant: Variant) -> Planted {
    let tables: Mutex<Vec<(u64, u64)>> = Mutex::default();
    Plant::small(FAULT.name)?
        .module("add_through_two", ADD_THROUGH_TWO)
        .with([BufferSpec::input("w", DType::F32, [N as usize])])
        .record(move |cx| {
            let w = cx.address("w")?;
            let mut tables = locked(&tables);
            let cached = tables.iter().find(|(of, _)| variant.planted() || *of == w).map(|(_, table)| *table);
            let table = match cached {
                Some(table) => table,
                None => {
                    let (inner, outer) = (allocated(8)?, allocated(8)?);
                    cx.check("cuMemcpyHtoD_v2", raw::upload(inner, &w.to_ne_bytes()))?;
                    cx.check("cuMemcpyHtoD_v2", raw::upload(outer, &inner.to_ne_bytes()))?;
                    tables.push((w, outer));
                    outer
                }
            };
            cx.launch(Launch::new("add_through_two").block([N, 1, 1]).value(table).buffer("x").buffer("y"))
        })
        .step()
}
