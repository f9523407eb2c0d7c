//! Operations by which threads may speak to each other (PTX ISA, "Memory Consistency Model").

/// Whether the text of an instruction makes its access atomic or strong.
pub(crate) fn is_strong(text: &str) -> bool {
    let operation = text.trim_start();
    // A guard stands before the operation.
    let operation = operation.strip_prefix('@').map_or(operation, |rest| {
        rest.split_once(char::is_whitespace).map_or(rest, |(_, operation)| operation.trim_start())
    });
    let mut words = operation.split(|c: char| c.is_whitespace() || c == ';').next().unwrap_or("").split('.');
    match words.next().unwrap_or("") {
        // `malloc` and `free` are calls, and guard their heap themselves.
        "atom" | "red" | "sured" | "mbarrier" | "call" => true,
        "ld" | "st" => words.any(|word| matches!(word, "volatile" | "relaxed" | "acquire" | "release" | "mmio")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_operations_are_told_by_their_text() {
        for text in [
            "atom.global.add.u32 %r1, [%rd1], 1;",
            "@%p1 red.global.add.f32 [%rd1], %f1;",
            "sured.b.add.2d.u32.trap [%a, {%x, %y}], %r;",
            "ld.volatile.u32 %r, [%a];",
        ] {
            assert!(is_strong(text), "{text}");
        }
        for text in ["ld.global.nc.u32 %r1, [%rd1];", "@!%p2 st.global.v4.f32 [%rd1], {%f1};", "wmma.load.a.sync;"] {
            assert!(!is_strong(text), "{text}");
        }
    }
}
