//! R05: a padded row is stored over a real one.
//!
//! Planted: the slot -1 of the padded row counts from the end, where a real row may lie; eager execution does
//! the same.
//! Stands for: cache writes with slots of -1.
//! Found by: the step without padding, which it declares. Clean twin: the device skips negative slots.

use crate::faults::prelude::*;

/// See the file.
pub const FAULT: Fault = Fault {
    row: "R05",
    name: "padded-row-stores",
    group: Group::Order,
    title: "stores a padded row over a real one",
    stands_for: "cache writes with slots of -1",
    expected: Expected::new(Id::R05, Check::Unpadded),
    sticky: None,
    hangs: false,
    step,
    file: file!(),
};

const ROWS: u32 = 8;
const SLOTS: u32 = 16;

fn step(variant: Variant) -> Planted {
    let guarded = u32::from(!variant.planted());
    padded(ROWS, guarded)?.unpadded(move || padded(ROWS - 1, guarded)?.step()).step()
}

/// The step with the real rows, then, as its own launch, with the padded one too.
fn padded(rows: u32, guarded: u32) -> Result<Plant, KernelsError> {
    let stored = move |rows: u32| {
        let launch = Launch::new("store_rows").block([rows, 1, 1]).buffer("x").buffer("slot").buffer("cache");
        launch.value(guarded).value(rows).value(SLOTS)
    };
    let plant = Plant::small(FAULT.name)?
        .module("store_rows", STORE_ROWS)
        .buffers([
            BufferSpec::input("x", DType::F32, [ROWS as usize]),
            BufferSpec::input("slot", DType::I32, [ROWS as usize]),
            BufferSpec::state("cache", DType::F32, [SLOTS as usize]),
        ])
        .fill(|index, inputs| {
            // Slots of real rows are apart; one of them is the last.
            for (row, slot) in inputs.slice_mut::<i32>("slot")?.iter_mut().enumerate() {
                *slot = if row as u32 + 1 < ROWS {
                    ((index * 3 + row as u64 * 2 + 1) % u64::from(SLOTS)) as i32
                } else {
                    -1
                };
            }
            Ok(())
        })
        .record(move |cx| {
            cx.launch(stored(ROWS - 1))?;
            if rows == ROWS { cx.launch(stored(ROWS)) } else { Ok(()) }
        });
    Ok(plant)
}
