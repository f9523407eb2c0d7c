//! Textures and surfaces.

use super::ir::{Class, Form, Reg, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Address, AddressBase, Instruction, Operand, Type};
use crate::vm::map::cold;
use crate::vm::texture::{
    BYTES, COUNT, FLOAT, GATHER, GEOMETRIES, OUTSIDE, QUERIES, Query, REDUCTIONS, Sample, Surface, SurfaceReduction,
    WHICH, WRITES,
};

impl<'a> Lower<'a> {
    /// The object that `[object]` names: a handle in a register, or a `.texref` or `.surfref`, whose address is its
    /// handle.
    fn object(&mut self, address: &Address, n: usize) -> Result<Src> {
        if address.offset != 0 {
            return Err(invalid("an object is named without an offset").at(n));
        }
        match address.base {
            AddressBase::Reg(r) => self.source(&Operand::Reg(r), Type::B64),
            AddressBase::Var(var) => self.address_of(var, 0).map(|(_, source)| source),
            AddressBase::Absolute => Err(invalid("this is no texture or surface")),
        }
        .map_err(|p| p.at(n))
    }

    /// Operand `n`, `[object, {coordinates}]`, of the geometry that is the instruction's next word; with its place in the
    /// immediate.
    fn element(&mut self, i: &'a Instruction, n: usize, m: &mut Modifiers<'a>, ty: Type) -> Result<(Vec<Src>, u64)> {
        let names = GEOMETRIES.map(|(name, ..)| name);
        let Some(name) = m.one_of(&names) else {
            let others = ["cube", "acube", "2dms", "a2dms"];
            return Err(match m.one_of(&others) {
                Some(name) => unsupported(format!("`.{name}` of `{}` is not executed", i.opcode)),
                None => invalid(format!("`{}` needs a geometry such as `.2d`", i.opcode)),
            });
        };
        let index = names.iter().position(|known| *known == name).unwrap_or(0);
        let (_, geometry, count) = GEOMETRIES[index];
        let Some(Operand::Box(address, coordinates)) = i.operands.get(n) else {
            return Err(invalid("this operand is not `[object, {coordinates}]`").at(n));
        };
        if coordinates.len() != count {
            let coordinates = coordinates.len();
            return Err(invalid(format!("`.{name}` takes {count} coordinates, but here are {coordinates}")).at(n));
        }
        let mut found = vec![self.object(address, n)?];
        for (at, coordinate) in coordinates.iter().enumerate() {
            // The first is a layer, and what is behind the last is not looked at.
            let ty = if geometry.layered && at == 0 { Type::U32 } else { ty };
            found.push(self.source(coordinate, ty).map_err(|p| p.at(n))?);
        }
        Ok((found, index as u64))
    }

    /// Registers of `{ }`, as they are written.
    fn four(&mut self, i: &'a Instruction, ty: Type) -> Result<Vec<Reg>> {
        let Some(Operand::Vector(items)) =
            i.operands.first().filter(|o| matches!(o, Operand::Vector(v) if v.len() == 4))
        else {
            return Err(invalid(format!("`{}` gives four registers: `{{r, r, r, r}}`", i.opcode)).at(0));
        };
        items.iter().map(|item| self.destination(item, ty).map_err(|p| p.at(0))).collect()
    }

    pub fn texture(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if i.opcode == "txq" {
            return self.texture_query(i, m);
        }
        let gathers = i.opcode == "tld4";
        let component = if gathers { m.one_of(&["r", "g", "b", "a"]) } else { None };
        if gathers && component.is_none() {
            return Err(invalid("`tld4` needs a component such as `.r`"));
        }
        // An object without mipmaps has one level, whatever level is asked for.
        let level = if gathers { None } else { m.one_of(&["base", "level", "grad"]) };
        // The types stand behind the geometry, in whose place the operand is read.
        let types: Vec<Type> = i.modifiers.iter().filter_map(|word| Type::from_name(word)).collect();
        let [ty, by] = types[..] else { return Err(invalid(format!("`{}` needs two types", i.opcode))) };
        if !matches!(by, Type::F32 | Type::S32) || gathers && by != Type::F32 {
            return Err(invalid(format!("coordinates of `{}` are no `{by}`", i.opcode)));
        }
        if !matches!(ty, Type::F32 | Type::U32 | Type::S32) {
            return Err(unsupported(format!("`{}` of `{ty}` is not executed", i.opcode)));
        }
        let (object, geometry) = self.element(i, 1, m, by)?;
        if gathers && !matches!(GEOMETRIES[geometry as usize].0, "2d" | "a2d") {
            return Err(invalid("`tld4` is of `.2d` and `.a2d`"));
        }
        if !m.take("v4") {
            return Err(unsupported(format!("`{}` gives four registers: `.v4`", i.opcode)));
        }
        let (_, _) = (m.ty(), m.ty());
        let more = match level {
            Some("level") => 1,
            Some("grad") => 2,
            _ => 0,
        };
        self.operands(i, 2 + more..=2 + more)?;
        let d = self.four(i, ty)?;
        let component = component.and_then(|name| "rgba".find(name)).unwrap_or(0) as u64;
        let imm =
            geometry | if by == Type::F32 { FLOAT } else { 0 } | if gathers { GATHER | component << WHICH } else { 0 };
        self.push(Form::List(cold::<Sample>()), &d, &object, imm).traits.volatile = true;
        Ok(())
    }

    fn texture_query(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let level = usize::from(m.take("level"));
        let Some(question) = m.one_of(&QUERIES) else {
            let asked = m.first().unwrap_or_default();
            return Err(unsupported(format!("`.{asked}` of `{}` is not executed", i.opcode)));
        };
        if m.ty() != Some(Type::B32) {
            return Err(invalid(format!("`{}` gives a `.b32`", i.opcode)));
        }
        self.operands(i, 2 + level..=2 + level)?;
        let d = self.dst(i, 0, Type::B32)?;
        let Some(Operand::Address(address)) = i.operands.get(1) else {
            return Err(invalid("this operand is not `[object]`").at(1));
        };
        let object = self.object(address, 1)?;
        let which = QUERIES.iter().position(|known| *known == question).unwrap_or(0) as u64;
        self.push(Form::List(cold::<Query>()), &[d], &[object], which << WHICH);
        Ok(())
    }

    pub fn surface(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if i.opcode == "suq" {
            return self.texture_query(i, m);
        }
        if !m.take("b") {
            return Err(unsupported(format!("formatted access (`{}.p`) is not executed", i.opcode)));
        }
        let (reads, reduces) = (i.opcode == "suld", i.opcode == "sured");
        let operation = if reduces { m.one_of(&REDUCTIONS) } else { None };
        if reduces && operation.is_none() {
            return Err(invalid("`sured` needs an operation such as `.add`"));
        }
        let n = usize::from(reads);
        let (object, geometry) = self.element(i, n, m, Type::S32)?;
        m.one_of(&["ca", "cg", "cs", "cv", "wb", "wt"]);
        let count = match m.one_of(&["v2", "v4"]) {
            Some("v2") => 2,
            Some(_) => 4,
            None => 1,
        };
        let Some(ty) = m.ty() else { return Err(invalid(format!("`{}` has no type", i.opcode))) };
        let outside = match m.one_of(&["trap", "clamp", "zero"]) {
            Some("clamp") => 1,
            Some("zero") => 2,
            // `.trap` is the default.
            _ => 0,
        };
        self.operands(i, 2..=2)?;
        let items = match i.operands.get(1 - n) {
            Some(Operand::Vector(items)) => items.as_slice(),
            Some(one) if count == 1 => std::slice::from_ref(one),
            _ => return Err(invalid("a vector access needs `{registers}`").at(1 - n)),
        };
        if items.len() != count {
            return Err(invalid(format!("the vector has {} registers", items.len())).at(1 - n));
        }
        let size = ty.size();
        let imm = geometry | (count as u64) << COUNT | size << BYTES | outside << OUTSIDE;
        if reduces {
            let whole = matches!((operation, ty), (_, Type::U32 | Type::S32 | Type::B32) | (Some("add"), Type::U64));
            let bits = matches!(operation, Some("and" | "or")) == (ty == Type::B32);
            if !whole || !bits || count != 1 {
                return Err(invalid(format!("no `sured` is of `{ty}` with this operation")));
            }
            let value = self.source(&items[0], ty).map_err(|p| p.at(1 - n))?;
            let which = operation.and_then(|name| REDUCTIONS.iter().position(|known| *known == name)).unwrap_or(0);
            let s: Vec<Src> = [value].into_iter().chain(object).collect();
            let signed = if ty.is_signed() { FLOAT } else { 0 };
            self.push(Form::List(cold::<SurfaceReduction>()), &[], &s, imm | signed | (which as u64) << WHICH);
            return Ok(());
        }
        if !matches!(ty, Type::B8 | Type::B16 | Type::B32 | Type::B64) || size == 8 && count == 4 {
            return Err(invalid(format!("`{}` is of up to 16 bytes of `.b8` to `.b64`", i.opcode)));
        }
        if reads {
            // Of a smaller type than its register, what is read is widened with zeros.
            let mut d = Vec::new();
            for item in items {
                d.push(self.wide_destination(item, ty).map_err(|p| p.at(0))?);
            }
            let wide = size == 8;
            let fits = d.iter().all(|&r| (self.class_of(r) == Class::Double) == wide);
            if !fits {
                return Err(unsupported(format!("`suld` of `{ty}` into a register of 64 bits is not executed")));
            }
            self.push(Form::List(cold::<Surface>()), &d, &object, imm).traits.volatile = true;
            return Ok(());
        }
        let mut s = Vec::new();
        for item in items {
            s.push(self.wide_source(item, ty).map_err(|p| p.at(1))?);
        }
        if s.iter().any(|&s| matches!(s, Src::Reg(r) if (self.class_of(r) == Class::Double) != (size == 8))) {
            return Err(unsupported(format!("`sust` of `{ty}` from a register of 64 bits is not executed")));
        }
        s.extend(object);
        self.push(Form::List(cold::<Surface>()), &[], &s, imm | WRITES);
        Ok(())
    }
}
