//! One instruction of the table, with operands for which PTX promises what it gives.

use std::sync::LazyLock;

use super::{Gen, word};
use crate::kernelfuzz::forms::{Form, Kind, Slot, Ty, forms};
use crate::kernelfuzz::ir::{Class, Var};
use crate::kernelfuzz::table::EXACT;

/// The forms of each row, with the row's generation.
static FORMS: LazyLock<Vec<(u32, Vec<Form>)>> =
    LazyLock::new(|| EXACT.iter().map(|row| (row.since, forms(row))).collect());

impl Gen {
    /// One instruction of the table.
    pub fn operation(&mut self, guards: bool) {
        let rows: Vec<&Vec<Form>> =
            FORMS.iter().filter(|(since, _)| *since <= self.options.generation).map(|(_, forms)| forms).collect();
        let row = rows[self.draw.below(rows.len())];
        let form = &row[self.draw.below(row.len())];
        self.apply(form, guards);
    }

    /// Writes `form` with operands of its kinds, and keeps what it gives.
    pub fn apply(&mut self, form: &Form, guards: bool) {
        let loose = form.name.starts_with("cvt.") && self.draw.chance(25);
        // Video instructions of two and four parts take no constants.
        let video = form.name.starts_with('v');
        let from: Vec<String> = form.from.iter().map(|slot| self.operand(*slot, loose, video)).collect();
        // ptxas 13.0 runs a part of a guarded `set`, and of `testp.f64`, whatever the guard says.
        let whole = !form.name.starts_with("set.") && !form.name.starts_with("testp.");
        let guarded = guards && self.draw.chance(10) && whole;
        let mut guard = String::new();
        if guarded {
            let not = if self.draw.chance(50) { "!" } else { "" };
            guard = format!("@{not}{} ", self.source_predicate());
        }
        let mut to: Vec<Var> = Vec::new();
        for ty in &form.to {
            let mut class = Class::of(ty.bits);
            if loose && !ty.kind.is_float() && self.draw.chance(50) {
                class = self.draw.pick(&[Class::Half, Class::Word, Class::Double]).max(class);
            }
            // Another than the first: an instruction writes a register once.
            let old = (guarded || self.draw.chance(20)).then(|| self.existing(class, None)).flatten();
            let var = match old.filter(|var| !to.contains(var)) {
                Some(var) => var,
                None if guarded => self.set_before(class),
                None => {
                    let var = self.temp(class);
                    self.keep(var, ty.kind);
                    var
                }
            };
            to.push(var);
        }
        let to_text = to.iter().map(Var::to_string).collect::<Vec<_>>().join("|");
        let operands = std::iter::once(to_text).chain(from).collect::<Vec<_>>().join(", ");
        self.emit(format!("{guard}{} {operands};", form.name));
        for (var, ty) in to.into_iter().zip(&form.to) {
            if Class::of(ty.bits) == var.class {
                self.canonical(var, ty.kind);
            }
        }
    }

    /// A register that holds something, for an instruction that may not run.
    fn set_before(&mut self, class: Class) -> Var {
        let var = self.temp(class);
        match class {
            Class::Pred => self.emit(format!("setp.ne.u32 {var}, {}, 3;", if self.function { "5" } else { "%lane" })),
            class => self.emit(format!("mov.{} {var}, 11;", class.spelling().1)),
        }
        self.keep(var, Kind::Bits);
        var
    }

    fn operand(&mut self, slot: Slot, loose: bool, register: bool) -> String {
        match slot {
            Slot::Reg(ty) => {
                let mut ty = ty;
                if loose && !ty.kind.is_float() && self.draw.chance(50) {
                    ty = self.draw.pick(&[ty, word(), Ty { name: "b64", bits: 64, kind: Kind::Bits }]);
                    ty = match slot {
                        Slot::Reg(least) if least.bits > ty.bits => least,
                        _ => ty,
                    };
                }
                if ty.bits == 8 || loose || register { self.source_register(ty).to_string() } else { self.source(ty) }
            }
            Slot::Negatable => {
                let not = if self.draw.chance(40) { "!" } else { "" };
                format!("{not}{}", self.source_predicate())
            }
            Slot::Nonzero(ty) => self.divisor(ty),
            Slot::Constant(bound) => self.draw.below(bound as usize).to_string(),
            Slot::Within(least, count) => {
                if self.draw.chance(40) {
                    return (least + self.draw.below(count as usize) as i32).to_string();
                }
                let (from, to) = (self.source_register(word()), self.temp(Class::Word));
                self.emit(format!("and.b32 {to}, {from}, {};", count - 1));
                if least != 0 {
                    self.emit(format!("add.s32 {to}, {to}, {least};"));
                }
                to.to_string()
            }
        }
    }

    fn divisor(&mut self, ty: Ty) -> String {
        let (from, to) = (self.source_register(ty), self.temp(Class::of(ty.bits)));
        let raw = ty.raw().name;
        self.emit(format!("or.{raw} {to}, {from}, 1;"));
        if ty.kind == Kind::Signed {
            let minus = self.temp(Class::Pred);
            self.emit(format!("setp.eq.{} {minus}, {to}, -1;", ty.name));
            self.emit(format!("selp.{raw} {to}, 3, {to}, {minus};"));
        }
        to.to_string()
    }

    /// Replaces any NaN by one: which of them an instruction gives is not promised.
    pub fn canonical(&mut self, var: Var, kind: Kind) {
        if self.options.raw_nan || !kind.is_float() {
            return;
        }
        let nan = self.temp(Class::Pred);
        match kind {
            Kind::F32 => {
                self.emit(format!("setp.nan.f32 {nan}, {var}, {var};"));
                self.emit(format!("selp.b32 {var}, 0x7fffffff, {var}, {nan};"));
            }
            Kind::F64 => {
                self.emit(format!("setp.nan.f64 {nan}, {var}, {var};"));
                self.emit(format!("selp.b64 {var}, 0x7ff8000000000000, {var}, {nan};"));
            }
            Kind::F16 | Kind::Bf16 => {
                let (magnitude, infinity) = (self.temp(Class::Half), if kind == Kind::F16 { 0x7c00 } else { 0x7f80 });
                self.emit(format!("and.b16 {magnitude}, {var}, 0x7fff;"));
                self.emit(format!("setp.gt.u16 {nan}, {magnitude}, {infinity};"));
                self.emit(format!("selp.b16 {var}, 0x7fff, {var}, {nan};"));
            }
            Kind::F16x2 | Kind::Bf16x2 => {
                let (low, high) = (self.temp(Class::Half), self.temp(Class::Half));
                let half = if kind == Kind::F16x2 { Kind::F16 } else { Kind::Bf16 };
                self.emit(format!("mov.b32 {{{low}, {high}}}, {var};"));
                self.canonical(low, half);
                self.canonical(high, half);
                self.emit(format!("mov.b32 {var}, {{{low}, {high}}};"));
            }
            _ => {}
        }
    }
}
