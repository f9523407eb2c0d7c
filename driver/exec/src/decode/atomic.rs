//! `atom` and `red`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::HandlerSet;
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::atomic as at;
use crate::vm::map::{cold, step};
use crate::vm::memory as space;

fn atomic_handlers<U: at::Update>(space: u8, wide: bool) -> HandlerSet {
    match (space, wide) {
        (space::SHARED, false) if U::OFTEN => step::<at::Atomic<U, { space::SHARED }, false>>(),
        (space::SHARED, true) if U::OFTEN => step::<at::Atomic<U, { space::SHARED }, true>>(),
        (space::GLOBAL, _) => cold::<at::Atomic<U, { space::GLOBAL }, true>>(),
        (space::SHARED, false) => cold::<at::Atomic<U, { space::SHARED }, false>>(),
        (space::SHARED, true) => cold::<at::Atomic<U, { space::SHARED }, true>>(),
        _ => cold::<at::Atomic<U, { space::GENERIC }, true>>(),
    }
}

impl<'a> Lower<'a> {
    pub fn atomic(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if m.rest().contains(&"async") {
            return self.store_async(i, m);
        }
        let space = self.access(m);
        m.take("noftz");
        let names = ["add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"];
        let Some(name) = m.one_of(&names) else {
            return Err(invalid(format!("`{}` needs an operation such as `.add`", i.opcode)));
        };
        let elements = self.elements(m);
        let Some(ty) = m.ty() else { return Err(invalid(format!("`{}` has no type", i.opcode))) };
        let reduction = i.opcode == "red";
        let first = usize::from(!reduction);
        let count = first + 2 + usize::from(name == "cas");
        self.operands_and_policy(i, m, count)?;
        if ty == Type::B128 {
            return self.atomic_wide(i, name, space);
        }
        // D (PTX ISA, `atom`): vectors are of floats, in `.global`, of 32 bytes at most.
        let vector = elements.unwrap_or(1) as u64;
        if elements.is_some()
            && (!ty.is_float() || ty == Type::F64 || space != Space::Global || vector * ty.size() > 32)
        {
            return Err(unsupported(format!("`{}.{}.{name}.v{vector}{ty}` is not executed", i.opcode, space.name())));
        }
        let (address, offset, code, wide) = self.reach(i, first, space)?;
        let wide_type = ty.size() == 8;
        let h = |set: fn(u8, bool) -> HandlerSet| Some(set(code, wide));
        let handlers = match (name, ty) {
            ("add", Type::U32 | Type::S32) => h(atomic_handlers::<at::Add32>),
            ("add", Type::U64 | Type::S64) => h(atomic_handlers::<at::Add64>),
            ("add", Type::F32) => h(atomic_handlers::<at::AddF32>),
            ("add", Type::F64) => h(atomic_handlers::<at::AddF64>),
            ("add", Type::F16) => h(atomic_handlers::<at::AddF16>),
            ("add", Type::BF16) => h(atomic_handlers::<at::AddBf16>),
            ("add", Type::F16x2) => h(atomic_handlers::<at::AddF16x2>),
            ("add", Type::BF16x2) => h(atomic_handlers::<at::AddBf16x2>),
            ("min", Type::F32) => h(atomic_handlers::<at::MinF32>),
            ("max", Type::F32) => h(atomic_handlers::<at::MaxF32>),
            ("min", Type::F16) if elements.is_some() => h(atomic_handlers::<at::MinF16>),
            ("max", Type::F16) if elements.is_some() => h(atomic_handlers::<at::MaxF16>),
            ("min", Type::BF16) if elements.is_some() => h(atomic_handlers::<at::MinBf16>),
            ("max", Type::BF16) if elements.is_some() => h(atomic_handlers::<at::MaxBf16>),
            ("min", Type::F16x2) if elements.is_some() => h(atomic_handlers::<at::MinF16x2>),
            ("max", Type::F16x2) if elements.is_some() => h(atomic_handlers::<at::MaxF16x2>),
            ("min", Type::BF16x2) if elements.is_some() => h(atomic_handlers::<at::MinBf16x2>),
            ("max", Type::BF16x2) if elements.is_some() => h(atomic_handlers::<at::MaxBf16x2>),
            ("min", Type::U32) => h(atomic_handlers::<at::MinU32>),
            ("min", Type::S32) => h(atomic_handlers::<at::MinS32>),
            ("min", Type::U64) => h(atomic_handlers::<at::MinU64>),
            ("min", Type::S64) => h(atomic_handlers::<at::MinS64>),
            ("max", Type::U32) => h(atomic_handlers::<at::MaxU32>),
            ("max", Type::S32) => h(atomic_handlers::<at::MaxS32>),
            ("max", Type::U64) => h(atomic_handlers::<at::MaxU64>),
            ("max", Type::S64) => h(atomic_handlers::<at::MaxS64>),
            ("inc", Type::U32) => h(atomic_handlers::<at::Inc32>),
            ("dec", Type::U32) => h(atomic_handlers::<at::Dec32>),
            ("cas", Type::B16) => h(atomic_handlers::<at::Cas16>),
            (_, t) if t.is_float() || t.size() < 4 => None,
            ("and", _) if wide_type => h(atomic_handlers::<at::And64>),
            ("or", _) if wide_type => h(atomic_handlers::<at::Or64>),
            ("xor", _) if wide_type => h(atomic_handlers::<at::Xor64>),
            ("exch", _) if wide_type => h(atomic_handlers::<at::Exch64>),
            ("cas", _) if wide_type => h(atomic_handlers::<at::Cas64>),
            ("and", _) => h(atomic_handlers::<at::And32>),
            ("or", _) => h(atomic_handlers::<at::Or32>),
            ("xor", _) => h(atomic_handlers::<at::Xor32>),
            ("exch", _) => h(atomic_handlers::<at::Exch32>),
            ("cas", _) => h(atomic_handlers::<at::Cas32>),
            _ => None,
        };
        let Some(handlers) = handlers.filter(|_| code != space::LOCAL && code != space::PARAM) else {
            return Err(unsupported(format!("`{}.{}.{name}{ty}` is not executed", i.opcode, space.name())));
        };
        let values = self.vector(i, first + 1, elements)?;
        let results =
            if reduction || i.operands[0] == Operand::Sink { None } else { Some(self.vector(i, 0, elements)?) };
        // Every element by itself, as PTX has it. All are read before the first is written: results may
        // be among them.
        let mut writes = Vec::new();
        for (n, value) in values.iter().enumerate() {
            let b = self.source(value, ty).map_err(|p| p.at(first + 1))?;
            let c = match (name, i.operands.get(first + 2)) {
                ("cas", Some(Operand::Vector(one))) if one.len() == 1 => self.source(&one[0], ty)?,
                ("cas", _) => self.src(i, first + 2, ty)?,
                _ => b,
            };
            let mut d = vec![];
            if let Some(result) = results.map(|results| &results[n]).filter(|result| **result != Operand::Sink) {
                let to = self.destination(result, ty).map_err(|p| p.at(0))?;
                let through = if values.len() == 1 { to } else { self.temp(class(ty)) };
                if through != to {
                    writes.push((to, through));
                }
                d = vec![through];
            }
            self.push(Form::Atomic(handlers), &d, &[address, b, c], offset.wrapping_add(n as u64 * ty.size()));
        }
        for (to, through) in writes {
            self.copy_register(to, Src::Reg(through));
        }
        Ok(())
    }

    /// `atom.exch.b128`, `atom.cas.b128`.
    fn atomic_wide(&mut self, i: &'a Instruction, name: &str, space: Space) -> Result<()> {
        let exchange = name == "exch";
        if !(exchange || name == "cas") || i.opcode == "red" {
            return Err(unsupported(format!("`{}.{name}.b128` is not executed", i.opcode)));
        }
        let (address, offset, code, wide) = self.reach(i, 1, space)?;
        let handlers = match (code, wide) {
            (space::GLOBAL, _) => cold::<at::Atomic128<{ space::GLOBAL }, true>>(),
            (space::SHARED, false) => cold::<at::Atomic128<{ space::SHARED }, false>>(),
            (space::SHARED, true) => cold::<at::Atomic128<{ space::SHARED }, true>>(),
            (space::GENERIC, _) => cold::<at::Atomic128<{ space::GENERIC }, true>>(),
            _ => return Err(unsupported(format!("`atom.{}.{name}.b128` is not executed", space.name()))),
        };
        let d = match &i.operands[0] {
            Operand::Sink => [self.temp(Class::Double), self.temp(Class::Double)],
            result => self.wide_halves(result, true).map_err(|p| p.at(0))?,
        };
        let b = self.wide_halves(&i.operands[2], false).map_err(|p| p.at(2))?;
        let c = if exchange { b } else { self.wide_halves(&i.operands[3], false).map_err(|p| p.at(3))? };
        let s: Vec<Src> = [address].into_iter().chain([b, c].into_iter().flatten().map(Src::Reg)).collect();
        self.push(Form::AtomicWide(handlers, exchange), &d, &s, offset);
        Ok(())
    }
}
