//! The table of texts.

use std::sync::LazyLock;

use super::Explanation;

macro_rules! texts {
    ($($id:literal)*) => {
        // Parsed when first asked for: in the compiler it took minutes. A test parses them all.
        LazyLock::new(|| vec![$(Explanation::parse($id, include_str!(concat!($id, ".md")))),*])
    };
}

/// Every text, in the order of families and ids.
#[rustfmt::skip]
pub static ALL: LazyLock<Vec<Explanation>> = texts! {
    "S01" "S02" "S03" "S04" "S05" "S06" "S07" "S08" "S09" "S10" "S11" "S12" "S13" "S14" "S15"
    "A01" "A02" "A03" "A04" "A05" "A06" "A07" "A08" "A09" "A10" "A11" "A12" "A13"
    "C01" "C02" "C03" "C04" "C05" "C06" "C07" "C08" "C09" "C10" "C11" "C12" "C13"
    "V01" "V02" "V03" "V04" "V05" "V06" "V07" "V08" "V09" "V10" "V11" "V12" "V13" "V14"
    "L01" "L02" "L03" "L04" "L05" "L06"
    "R01" "R02" "R03" "R04"
    "E01" "E02" "E03" "E04" "E05" "E06" "E07" "E08"
    "T01" "T02"
};
