//! The table's rows, spelled out.

use super::table::Row;

/// A scalar type of PTX: its name, its width in bits, and what its bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ty {
    /// As PTX spells it, without the dot.
    pub name: &'static str,
    /// Width in bits; 1 for a predicate.
    pub bits: u32,
    /// What the bits mean.
    pub kind: Kind,
}

/// What a type's bits mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PTX's")]
pub enum Kind {
    Pred,
    Bits,
    Unsigned,
    Signed,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    F32,
    F64,
}

impl Kind {
    /// Whether it is a floating-point format, packed or not.
    pub fn is_float(self) -> bool {
        !matches!(self, Kind::Pred | Kind::Bits | Kind::Unsigned | Kind::Signed)
    }
}

const TYPES: [Ty; 20] = {
    const fn ty(name: &'static str, bits: u32, kind: Kind) -> Ty {
        Ty { name, bits, kind }
    }
    [
        ty("pred", 1, Kind::Pred),
        ty("b8", 8, Kind::Bits),
        ty("b16", 16, Kind::Bits),
        ty("b32", 32, Kind::Bits),
        ty("b64", 64, Kind::Bits),
        ty("u8", 8, Kind::Unsigned),
        ty("u16", 16, Kind::Unsigned),
        ty("u32", 32, Kind::Unsigned),
        ty("u64", 64, Kind::Unsigned),
        ty("s8", 8, Kind::Signed),
        ty("s16", 16, Kind::Signed),
        ty("s32", 32, Kind::Signed),
        ty("s64", 64, Kind::Signed),
        ty("f16", 16, Kind::F16),
        ty("f16x2", 32, Kind::F16x2),
        ty("bf16", 16, Kind::Bf16),
        ty("bf16x2", 32, Kind::Bf16x2),
        ty("tf32", 32, Kind::F32),
        ty("f32", 32, Kind::F32),
        ty("f64", 64, Kind::F64),
    ]
};

impl Ty {
    /// The type that `name` spells.
    pub fn named(name: &str) -> Option<Ty> {
        TYPES.into_iter().find(|ty| ty.name == name)
    }

    /// The untyped one of the same register width: what a register is declared as.
    pub fn raw(self) -> Ty {
        let name = match self.bits {
            1 => "pred",
            8 | 16 => "b16",
            32 => "b32",
            _ => "b64",
        };
        TYPES.into_iter().find(|ty| ty.name == name).unwrap_or(self)
    }
}

/// An operand of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A register of this type.
    Reg(Ty),
    /// A predicate that may be negated.
    Negatable,
    /// A divisor of this type.
    Nonzero(Ty),
    /// A `.b32` in a range: its first value and how many there are, a power of two.
    Within(i32, u32),
    /// A constant below this.
    Constant(u32),
}

/// One form: an opcode with all its modifiers, and its operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Opcode and modifiers.
    pub name: String,
    /// Destinations, one or two.
    pub to: Vec<Ty>,
    /// Sources.
    pub from: Vec<Slot>,
}

/// Each way to fill the braces of `text`.
fn expand(text: &str) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![text.to_owned()] };
    let tails = expand(after);
    inside.split(',').flat_map(|word| tails.iter().map(move |tail| format!("{before}{word}{tail}"))).collect()
}

/// The forms of a row. A word that is no type and no operand is a mistake of the table, which
/// [`every_row_is_well_formed`](self) finds: such a row has no forms.
pub fn forms(row: &Row) -> Vec<Form> {
    expand(row.form).into_iter().filter_map(|name| form(name, row.operands)).collect()
}

fn form(name: String, operands: &str) -> Option<Form> {
    let types: Vec<Ty> = name.split('.').filter_map(Ty::named).collect();
    let last = types.last().copied();
    let typed = |word: &str| match word {
        "T" => last,
        "D" => types.len().checked_sub(2).map(|n| types[n]),
        "W" => last.and_then(|ty| Ty::named(&format!("{}{}", &ty.name[..1], ty.bits * 2))),
        word => Ty::named(word),
    };
    let mut words = operands.split(' ');
    let to = words.next()?.split('|').map(typed).collect::<Option<Vec<_>>>()?;
    let from = words.map(|word| {
        Some(match word {
            "!pred" => Slot::Negatable,
            "nonzero" => Slot::Nonzero(last?),
            "byte" => Slot::Within(0, 256),
            "five" => Slot::Within(0, 32),
            "three" => Slot::Within(0, 8),
            "near" => Slot::Within(-32, 64),
            "lut" => Slot::Constant(256),
            word => Slot::Reg(typed(word)?),
        })
    });
    Some(Form { from: from.collect::<Option<Vec<_>>>()?, to, name })
}

#[cfg(test)]
mod tests {
    use super::super::table::{APPROXIMATE, EXACT, GENERATION};
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for row in EXACT.iter().chain(APPROXIMATE) {
            assert_eq!(forms(row).len(), expand(row.form).len(), "{row:?}");
            assert!(!forms(row).is_empty() && row.since <= GENERATION, "{row:?}");
        }
        assert!(EXACT.is_sorted_by_key(|row| row.since), "new rows go to the end");
    }

    #[test]
    fn braces_are_filled_in_every_way() {
        assert_eq!(expand("a{,.b}.{c,d}"), ["a.c", "a.d", "a.b.c", "a.b.d"]);
        let forms = forms(&Row { since: 1, form: "mul.wide.{u16,s32}", operands: "W T T" });
        assert_eq!(forms.iter().map(|f| f.to[0].name).collect::<Vec<_>>(), ["u32", "s64"]);
    }
}
