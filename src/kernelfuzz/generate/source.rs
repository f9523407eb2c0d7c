//! Where operands come from: values in scope, constants, inputs.

use super::{Gen, Value, word};
use crate::kernelfuzz::forms::{Kind, Ty};
use crate::kernelfuzz::inputs::{CELLS, float, integer, region};
use crate::kernelfuzz::ir::{Class, Var};

impl Gen {
    /// A value of a class in scope, of a kind if there is one.
    pub fn existing(&mut self, class: Class, kind: Option<Kind>) -> Option<Var> {
        let of_class: Vec<Value> = self.values.iter().copied().filter(|value| value.var.class == class).collect();
        if of_class.is_empty() {
            return None;
        }
        let of_kind: Vec<Value> = of_class.iter().copied().filter(|value| Some(value.kind) == kind).collect();
        if !of_kind.is_empty() && self.draw.chance(70) {
            return Some(self.draw.pick(&of_kind).var);
        }
        Some(self.draw.pick(&of_class).var)
    }

    /// A source operand: a constant, an input or a value.
    pub fn source(&mut self, ty: Ty) -> String {
        if self.draw.chance(12)
            && let Some(text) = self.constant(ty)
        {
            return text;
        }
        self.source_register(ty).to_string()
    }

    pub fn source_register(&mut self, ty: Ty) -> Var {
        let class = Class::of(ty.bits);
        if class == Class::Pred {
            return self.source_predicate();
        }
        if (self.function || self.draw.chance(60))
            && let Some(var) = self.existing(class, Some(ty.kind))
        {
            return var;
        }
        self.load_input(ty)
    }

    fn constant(&mut self, ty: Ty) -> Option<String> {
        Some(match (ty.kind, ty.bits) {
            (Kind::F32, _) => format!("0f{:08X}", float(&mut self.draw, 8, 23)),
            (Kind::F64, _) => format!("0d{:016X}", float(&mut self.draw, 11, 52)),
            (Kind::Bits | Kind::Unsigned, 16) => (integer(&mut self.draw, 16) as u16).to_string(),
            (Kind::Signed, 16) => (integer(&mut self.draw, 16) as i16).to_string(),
            (Kind::Bits | Kind::Unsigned, 32) => format!("0x{:x}", integer(&mut self.draw, 32) as u32),
            (Kind::Signed, 32) => (integer(&mut self.draw, 32) as i32).to_string(),
            (Kind::Bits | Kind::Unsigned | Kind::Signed, 64) => format!("0x{:x}", integer(&mut self.draw, 64)),
            _ => return None,
        })
    }

    /// Reads an input of this type.
    pub fn load_input(&mut self, ty: Ty) -> Var {
        let class = Class::of(ty.bits);
        let to = self.temp(class);
        if self.function {
            let raw = ty.raw().name;
            let bits = integer(&mut self.draw, ty.bits.max(16)) & (u64::MAX >> (64 - ty.bits.max(16)));
            self.emit(format!("mov.{raw} {to}, {bits};"));
        } else {
            let place = if self.draw.chance(70) { region(ty.kind, ty.bits) } else { self.draw.below(8) as u32 };
            let (address, offset) = self.input_cell(place, CELLS - 1);
            let caching = self.draw.pick(&["", "", "", ".nc", ".ca", ".cg", ".cs", ".volatile", ".relaxed.gpu"]);
            let (space, caching) = if caching == ".nc" { (".global", ".nc") } else { (caching, "") };
            // `ld.volatile.global`, `ld.relaxed.gpu.global`, but `ld.global.nc` and `ld.global.ca`.
            let form = match space {
                ".global" => format!("ld.global{caching}"),
                ".ca" | ".cg" | ".cs" => format!("ld.global{space}"),
                before => format!("ld{before}.global"),
            };
            let typed = if ty.kind.is_float() && !matches!(ty.kind, Kind::F32 | Kind::F64) { ty.raw() } else { ty };
            let inside = self.draw.below(8 / (typed.bits.max(8) / 8) as usize) as u32 * typed.bits.max(8) / 8;
            self.emit(format!("{form}.{} {to}, [{address}+{}];", typed.name, offset + inside));
        }
        self.keep(to, ty.kind);
        to
    }

    /// The address of a cell that depends on the thread: a register, and an offset to add. `mask` has
    /// the bits that the cell's number may have.
    pub fn input_cell(&mut self, region: u32, mask: u32) -> (Var, u32) {
        let (index, address) = (self.temp(Class::Word), self.temp(Class::Double));
        let (factor, shift) = (self.draw.pick(&[1, 1, 1, 2, 3, 5, 0, 511]), self.draw.below(CELLS as usize));
        self.emit(format!("mad.lo.u32 {index}, %gid, {factor}, {shift};"));
        self.emit(format!("and.b32 {index}, {index}, {mask};"));
        self.emit(format!("mad.wide.u32 {address}, {index}, 8, %in;"));
        (address, region * CELLS * 8)
    }

    /// A predicate in scope, or a new one.
    pub fn source_predicate(&mut self) -> Var {
        if self.draw.chance(60)
            && let Some(var) = self.existing(Class::Pred, None)
        {
            return var;
        }
        let ty = word();
        let (a, b) = (self.source_register(ty), self.source(ty));
        let to = self.temp(Class::Pred);
        let compare = self.draw.pick(&["lt.u32", "gt.s32", "ne.b32", "le.s32"]);
        self.emit(format!("setp.{compare} {to}, {a}, {b};"));
        self.keep(to, Kind::Pred);
        to
    }

    /// A predicate that all threads of the block agree on.
    pub(super) fn uniform_predicate(&mut self) -> Var {
        let (to, bit) = (self.temp(Class::Pred), self.temp(Class::Word));
        match self.draw.below(3) {
            0 => self.emit(format!("mov.u32 {bit}, %ctaid.x;")),
            1 => self.emit(format!("mov.u32 {bit}, %blk;")),
            _ => self.emit(format!("ld.param.u32 {bit}, [p3];")),
        }
        self.emit(format!("and.b32 {bit}, {bit}, 1;"));
        self.emit(format!("setp.eq.u32 {to}, {bit}, 0;"));
        to
    }
}
