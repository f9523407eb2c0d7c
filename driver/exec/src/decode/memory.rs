//! `ld`, `st`, `atom`, `red`, `cp.async`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, class, handler_space, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::{HandlerSet, ScalarInit};
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::batch;
use crate::vm::load::{Load, LoadVector};
use crate::vm::map::{cold, hot1, op1, step};
use crate::vm::memory as space;
use crate::vm::quad;
use crate::vm::store::{Store, StoreVector};
use crate::vm::word;
use crate::vm::{bits, convert};

/// Picks a handler by space and address width.
macro_rules! by_space {
    ($space:expr, $wide:expr, $make:ident, $($h:tt)*) => {
        match ($space, $wide) {
            (space::GLOBAL, _) => by_space!(@ $make, GLOBAL, true, $($h)*),
            (space::SHARED, false) => by_space!(@ $make, SHARED, false, $($h)*),
            (space::SHARED, true) => by_space!(@ $make, SHARED, true, $($h)*),
            // These go lane by lane anyway.
            (space::LOCAL, _) => by_space!(@ cold, LOCAL, true, $($h)*),
            (space::PARAM, _) => by_space!(@ cold, PARAM, true, $($h)*),
            _ => by_space!(@ cold, GENERIC, true, $($h)*),
        }
    };
    // What makes the handlers itself, where it has a form of its own.
    (@ cold, $s:ident, $w:literal, $own:ident or $name:ident<$t:ty>) => { cold::<$name<$t, { space::$s }, $w>>() };
    (@ $make:ident, $s:ident, $w:literal, $own:ident or $name:ident<$t:ty>) => { word::$own::<{ space::$s }, $w>() };
    (@ $make:ident, $s:ident, $w:literal, $name:ident<$t:ty>) => { $make::<$name<$t, { space::$s }, $w>>() };
    (@ $make:ident, $s:ident, $w:literal, $name:ident<$t:ty, $n:literal>) => { $make::<$name<$t, $n, { space::$s }, $w>>() };
}

pub(super) fn load_handlers(ty: Type, space: u8, wide: bool) -> Option<HandlerSet> {
    Some(match ty {
        Type::B8 | Type::U8 => by_space!(space, wide, cold, Load<u8>),
        Type::S8 => by_space!(space, wide, cold, Load<i8>),
        Type::B16 | Type::U16 | Type::F16 | Type::BF16 => by_space!(space, wide, step, Load<u16>),
        Type::S16 => by_space!(space, wide, cold, Load<i16>),
        Type::B32 | Type::U32 | Type::S32 | Type::F32 | Type::F16x2 | Type::BF16x2 => {
            by_space!(space, wide, step, load32 or Load<u32>)
        }
        Type::B64 | Type::U64 | Type::S64 | Type::F64 => by_space!(space, wide, step, load64 or Load<u64>),
        _ => return None,
    })
}

fn load_vector_handlers(size: u64, count: usize, space: u8, wide: bool) -> Option<HandlerSet> {
    Some(match (size, count) {
        (1, 2) => by_space!(space, wide, cold, LoadVector<u8, 2>),
        (1, 4) => by_space!(space, wide, cold, LoadVector<u8, 4>),
        (2, 2) => by_space!(space, wide, cold, LoadVector<u16, 2>),
        (2, 4) => by_space!(space, wide, cold, LoadVector<u16, 4>),
        (4, 2) => by_space!(space, wide, step, LoadVector<u32, 2>),
        (4, 4) => match (space, wide) {
            (space::GLOBAL, _) => quad::load::<{ space::GLOBAL }, true>(),
            (space::SHARED, true) => quad::load::<{ space::SHARED }, true>(),
            (space::SHARED, false) => quad::load::<{ space::SHARED }, false>(),
            _ => by_space!(space, wide, step, LoadVector<u32, 4>),
        },
        (8, 2) => by_space!(space, wide, step, LoadVector<u64, 2>),
        // D (PTX ISA, `ld`): vectors of 32 bytes are in `.global` only.
        (4, 8) if space == space::GLOBAL => cold::<LoadVector<u32, 8, { space::GLOBAL }, true>>(),
        (8, 4) if space == space::GLOBAL => cold::<LoadVector<u64, 4, { space::GLOBAL }, true>>(),
        _ => return None,
    })
}

/// What does several such loads at once where all lanes load the same.
fn load_together(size: u64, count: usize, space: u8, wide: bool) -> Option<HandlerSet> {
    match (size, count, space, wide) {
        (4, 4, space::GLOBAL, _) => Some(batch::loads::<{ space::GLOBAL }, true>()),
        (4, 4, space::SHARED, true) => Some(batch::loads::<{ space::SHARED }, true>()),
        (4, 4, space::SHARED, false) => Some(batch::loads::<{ space::SHARED }, false>()),
        _ => None,
    }
}

pub(super) fn store_handlers(size: u64, space: u8, wide: bool) -> Option<HandlerSet> {
    Some(match size {
        1 => by_space!(space, wide, cold, Store<u8>),
        2 => by_space!(space, wide, step, Store<u16>),
        4 => by_space!(space, wide, step, store32 or Store<u32>),
        8 => by_space!(space, wide, step, store64 or Store<u64>),
        _ => return None,
    })
}

fn store_vector_handlers(size: u64, count: usize, space: u8, wide: bool) -> Option<HandlerSet> {
    Some(match (size, count) {
        (1, 2) => by_space!(space, wide, cold, StoreVector<u8, 2>),
        (1, 4) => by_space!(space, wide, cold, StoreVector<u8, 4>),
        (2, 2) => by_space!(space, wide, cold, StoreVector<u16, 2>),
        (2, 4) => by_space!(space, wide, cold, StoreVector<u16, 4>),
        (4, 2) => by_space!(space, wide, step, StoreVector<u32, 2>),
        (4, 4) => match (space, wide) {
            (space::GLOBAL, _) => quad::store::<{ space::GLOBAL }, true>(),
            (space::SHARED, true) => quad::store::<{ space::SHARED }, true>(),
            (space::SHARED, false) => quad::store::<{ space::SHARED }, false>(),
            _ => by_space!(space, wide, step, StoreVector<u32, 4>),
        },
        (8, 2) => by_space!(space, wide, step, StoreVector<u64, 2>),
        (4, 8) if space == space::GLOBAL => cold::<StoreVector<u32, 8, { space::GLOBAL }, true>>(),
        (8, 4) if space == space::GLOBAL => cold::<StoreVector<u64, 4, { space::GLOBAL }, true>>(),
        _ => return None,
    })
}

/// Orders, scopes, caches: none changes what an access here does.
const HINTS: [&str; 28] = [
    "volatile",
    "weak",
    "relaxed",
    "acquire",
    "release",
    "acq_rel",
    "mmio",
    "cta",
    "cluster",
    "gpu",
    "sys",
    "nc",
    "ca",
    "cg",
    "cs",
    "lu",
    "cv",
    "wb",
    "wt",
    "uniform",
    "L1::no_allocate",
    "L1::evict_last",
    "L1::evict_first",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L2::evict_last",
    "L2::evict_first",
    "L2::evict_normal",
];
pub(super) const PREFETCHES: [&str; 3] = ["L2::64B", "L2::128B", "L2::256B"];

impl<'a> Lower<'a> {
    /// Takes hints and the space.
    pub(super) fn access(&mut self, m: &mut Modifiers<'a>) -> Space {
        let mut found = Space::Generic;
        let names = [
            "global",
            "const",
            "shared",
            "shared::cta",
            "shared::cluster",
            "local",
            "param",
            "param::entry",
            "param::func",
        ];
        for name in names {
            if m.take(name) {
                found = Space::from_name(name).unwrap_or(found);
            }
        }
        for word in HINTS.into_iter().chain(PREFETCHES) {
            m.take(word);
        }
        found
    }

    /// Checks the number of operands, of which the last may be the policy of `.L2::cache_hint`: it
    /// says what the cache should keep, and is only looked at for its type.
    pub(super) fn operands_and_policy(&mut self, i: &Instruction, m: &mut Modifiers<'a>, count: usize) -> Result<()> {
        if !m.take("L2::cache_hint") {
            return self.operands(i, count..=count);
        }
        self.operands(i, count + 1..=count + 1)?;
        self.src(i, count, Type::B64).map(|_| ())
    }

    /// The number of elements that `.v2`, `.v4` or `.v8` says.
    pub(super) fn elements(&mut self, m: &mut Modifiers<'a>) -> Option<usize> {
        Some(match m.one_of(&["v2", "v4", "v8"])? {
            "v2" => 2,
            "v4" => 4,
            _ => 8,
        })
    }

    /// The registers of a vector operand, or of one that stands for a vector of one element.
    pub(super) fn vector<'o>(&self, i: &'o Instruction, n: usize, count: Option<usize>) -> Result<&'o [Operand]> {
        let Some(operand) = i.operands.get(n) else { return Err(invalid("an operand is missing")) };
        let items = match (operand, count) {
            (Operand::Vector(items), _) => items.as_slice(),
            (one, None) => std::slice::from_ref(one),
            (_, Some(_)) => return Err(invalid("a vector access needs `{registers}`").at(n)),
        };
        if items.len() != count.unwrap_or(1) {
            return Err(invalid(format!("the vector has {} registers", items.len())).at(n));
        }
        Ok(items)
    }

    /// Address, offset and handler space, with the address widened where the handler needs that.
    pub fn reach(&mut self, i: &Instruction, n: usize, space: Space) -> Result<(Src, u64, u8, bool)> {
        let (source, offset, found) = self.address(i, n, space)?;
        let code = handler_space(found);
        let narrow = matches!(source, Src::Reg(r) if self.class_of(r) == Class::Word);
        if narrow && code != space::SHARED {
            return Ok((self.widened(source), offset, code, true));
        }
        Ok((source, offset, code, !narrow))
    }

    pub fn load(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let volatile =
            ["volatile", "relaxed", "acquire", "mmio", "cg", "cv"].iter().any(|w| i.modifiers.iter().any(|m| m == w));
        let space = self.access(m);
        let count = self.elements(m);
        let Some(ty) = m.ty() else { return Err(invalid(format!("`{}` has no type", i.opcode))) };
        self.operands_and_policy(i, m, 2)?;
        let no = || unsupported(format!("`{}` of `{ty}` is not executed", i.opcode));
        if ty == Type::Pred {
            return Err(no());
        }
        let used = self.used_bytes;
        let items = self.vector(i, 0, count)?;
        let (address, offset, code, wide) = self.reach(i, 1, space)?;
        if ty == Type::B128 {
            let [item] = items else { return Err(no()) };
            let d = self.wide_halves(item, true).map_err(|p| p.at(0))?;
            let handlers = load_vector_handlers(8, 2, code, wide).ok_or_else(no)?;
            let node = self.push(Form::LoadVector(handlers), &d, &[address], offset);
            // One value, of which all has to be there.
            node.traits.used_bytes = if used == 0 { 0xffff } else { used };
            node.traits.volatile = volatile || code == space::LOCAL || code == space::GENERIC;
            return Ok(());
        }
        if code == space::PARAM && self.parameter(items, ty, address, offset)? {
            return Ok(());
        }
        if count.is_none() {
            let d = self.wide_destination(&items[0], ty).map_err(|p| p.at(0))?;
            let handlers = load_handlers(ty, code, wide).ok_or_else(no)?;
            if class(ty) == self.class_of(d) {
                let node = self.push(Form::Load(handlers), &[d], &[address], offset);
                node.traits.used_bytes = used;
                (node.traits.constant, node.traits.volatile) =
                    (code == space::PARAM, volatile || code == space::LOCAL || code == space::GENERIC);
            } else {
                let word = self.temp(Class::Word);
                let node = self.push(Form::Load(handlers), &[word], &[address], offset);
                node.traits.used_bytes = used;
                (node.traits.constant, node.traits.volatile) =
                    (code == space::PARAM, volatile || code == space::LOCAL || code == space::GENERIC);
                self.widen_to(d, Src::Reg(word), ty.is_signed());
            }
            return Ok(());
        }
        let handlers = load_vector_handlers(ty.size(), items.len(), code, wide).ok_or_else(no)?;
        let mut destinations = Vec::new();
        let mut fixes = Vec::new();
        for item in items {
            let d = self.wide_destination(item, ty).map_err(|p| p.at(0))?;
            if class(ty) == self.class_of(d) && !(ty.is_signed() && ty.size() < 4) {
                destinations.push(d);
            } else {
                let word = self.temp(Class::Word);
                destinations.push(word);
                fixes.push((d, word));
            }
        }
        let node = self.push(Form::LoadVector(handlers), &destinations, &[address], offset);
        node.traits.used_bytes = used;
        node.traits.together = load_together(ty.size(), items.len(), code, wide);
        node.traits.volatile = volatile || code == space::LOCAL || code == space::GENERIC;
        for (d, word) in fixes {
            if ty.is_signed() && ty.size() < 4 {
                let to = if self.class_of(d) == Class::Double { Type::S64 } else { Type::S32 };
                let mode = convert::mode_of(to, ty).ok_or_else(no)?;
                let op = if to == Type::S64 {
                    op1::<convert::Convert<u32, u64>>()
                } else {
                    op1::<convert::Convert<u32, u32>>()
                };
                self.map_mode(op, d, &[Src::Reg(word)], mode);
            } else {
                self.widen_to(d, Src::Reg(word), false);
            }
        }
        Ok(())
    }

    /// `ld.param` from a place that is known: what is there is fixed before the kernel starts. False where that is not
    /// among the parameters.
    fn parameter(&mut self, items: &[Operand], ty: Type, address: Src, offset: u64) -> Result<bool> {
        let Src::Fixed(n) = address else { return Ok(false) };
        let ScalarInit::Constant(at) = self.ir.scalars[n as usize] else { return Ok(false) };
        let (at, bytes) = (at.wrapping_add(offset), ty.size());
        let size = bytes * items.len() as u64;
        let end = self.frames[0].function.params.iter().map(|param| param.offset + param.size).max().unwrap_or(0);
        if bytes > 8 || !at.is_multiple_of(size) || at.checked_add(size).is_none_or(|last| last > end) {
            return Ok(false);
        }
        for (n, item) in items.iter().enumerate() {
            let d = self.wide_destination(item, ty).map_err(|p| p.at(0))?;
            let offset = (at + n as u64 * bytes) as u32;
            let value = self.scalar(ScalarInit::Parameter { offset, bytes: bytes as u8, signed: ty.is_signed() });
            self.copy_register(d, value);
        }
        Ok(true)
    }

    fn widen_to(&mut self, d: u32, word: Src, signed: bool) {
        if signed {
            self.map(hot1::<bits::WidenSigned>(), d, &[word]);
        } else {
            self.map(hot1::<bits::Widen>(), d, &[word]);
        }
    }

    /// A stored value as a register of its type's class.
    fn stored(&mut self, operand: &Operand, ty: Type) -> Result<Src> {
        let value = self.wide_source(operand, ty)?;
        match value {
            Src::Reg(r) if self.class_of(r) == Class::Double && class(ty) == Class::Word => {
                let word = self.temp(Class::Word);
                self.map(op1::<bits::Low32>(), word, &[value]);
                Ok(Src::Reg(word))
            }
            _ => Ok(value),
        }
    }

    pub fn store(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if m.rest().contains(&"async") {
            return self.store_async(i, m);
        }
        if m.rest().contains(&"bulk") {
            return Err(unsupported("`st.bulk` is not executed"));
        }
        let space = self.access(m);
        let count = self.elements(m);
        let Some(ty) = m.ty() else { return Err(invalid("`st` has no type")) };
        self.operands_and_policy(i, m, 2)?;
        let no = || unsupported(format!("`st` of `{ty}` is not executed"));
        if ty == Type::Pred {
            return Err(no());
        }
        let items = self.vector(i, 1, count)?;
        let (address, offset, code, wide) = self.reach(i, 0, space)?;
        if code == space::PARAM || space == Space::Const {
            return Err(invalid("kernel parameters and constants cannot be written").at(0));
        }
        if ty == Type::B128 {
            let [item] = items else { return Err(no()) };
            let [low, high] = self.wide_halves(item, false).map_err(|p| p.at(1))?;
            let handlers = store_vector_handlers(8, 2, code, wide).ok_or_else(no)?;
            self.push(Form::StoreVector(handlers), &[], &[address, Src::Reg(low), Src::Reg(high)], offset);
            return Ok(());
        }
        if count.is_none() {
            let value = self.stored(&items[0], ty).map_err(|p| p.at(1))?;
            let handlers = store_handlers(ty.size(), code, wide).ok_or_else(no)?;
            self.push(Form::Store(handlers), &[], &[address, value], offset);
            return Ok(());
        }
        let handlers = store_vector_handlers(ty.size(), items.len(), code, wide).ok_or_else(no)?;
        let mut s = vec![address];
        for item in items {
            s.push(self.stored(item, ty).map_err(|p| p.at(1))?);
        }
        self.push(Form::StoreVector(handlers), &[], &s, offset);
        Ok(())
    }
}
