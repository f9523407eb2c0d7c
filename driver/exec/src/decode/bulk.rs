//! `cp.async.bulk`, `cp.reduce.async.bulk`, `st.async`, `red.async`, `tensormap`.

use super::ir::{Form, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Address, Instruction, Operand, Space, Type};
use crate::vm::bulk::{
    self, Bulk, CommitBulk, FROM_GLOBAL, MULTICAST, PREFETCH, REDUCTION, StoreAsync, TO_GLOBAL, WaitBulk,
};
use crate::vm::map::{Next, cold, hot2};
use crate::vm::tensor::{CopyMap, REDUCTIONS, ReplaceField, TensorCopy};

/// Names of shared memory, of the own block or of one of the cluster.
const SHARED: [&str; 3] = ["shared::cluster", "shared::cta", "shared"];

impl<'a> Lower<'a> {
    /// The address operand `n` as 64 bits, offset included.
    fn whole_address(&mut self, i: &Instruction, n: usize, space: Space) -> Result<Src> {
        let (source, offset, _) = self.address(i, n, space)?;
        Ok(self.offset_by(source, offset))
    }

    fn offset_by(&mut self, source: Src, offset: u64) -> Src {
        let wide = self.widened(source);
        if offset == 0 {
            return wide;
        }
        let (sum, offset) = (self.temp(super::ir::Class::Double), self.constant(offset));
        self.map(hot2::<crate::vm::integer::Add<u64>>(), sum, &[wide, offset]);
        Src::Reg(sum)
    }

    /// Map and coordinates of the operand `n`, `rank` of them.
    fn boxed(&mut self, i: &Instruction, n: usize, rank: usize) -> Result<(Src, Vec<Src>)> {
        let Some(Operand::Box(Address { base, offset }, coordinates)) = i.operands.get(n) else {
            return Err(invalid("this operand is not `[tensor map, {coordinates}]`").at(n));
        };
        if coordinates.len() != rank {
            return Err(invalid(format!("{} coordinates for {rank} dimensions", coordinates.len())).at(n));
        }
        let address = Operand::Address(Address { base: *base, offset: *offset });
        let operands = vec![address];
        let spans = i.operand_spans.get(n).copied().into_iter().collect();
        let alone = Instruction { operands, operand_spans: spans, ..i.clone() };
        let map = self.whole_address(&alone, 0, Space::Generic)?;
        let mut found = Vec::new();
        for coordinate in coordinates {
            found.push(self.source(coordinate, Type::S32).map_err(|p| p.at(n))?);
        }
        Ok((map, found))
    }

    pub fn bulk(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_has(i, 90)?;
        m.take("bulk");
        if m.take("commit_group") {
            self.operands(i, 0..=0)?;
            self.push(Form::Fields(cold::<Next<CommitBulk>>()), &[], &[], 0);
            return Ok(());
        }
        if m.take("wait_group") {
            let reading = m.take("read");
            self.operands(i, 1..=1)?;
            let Operand::Int(count @ 0..=0x7fff_ffff) = i.operands[0] else {
                return Err(invalid("`wait_group` needs a constant").at(0));
            };
            self.push(Form::Fields(cold::<Next<WaitBulk>>()), &[], &[], count as u64 | u64::from(reading) << 32);
            return Ok(());
        }
        for word in ["im2col", "im2col_no_offs", "im2col::w", "im2col::w::128"] {
            if m.rest().contains(&word) {
                return Err(unsupported(format!("`cp.async.bulk.tensor` in `.{word}` mode is not executed")));
            }
        }
        let reduces = m.take("reduce");
        if m.take("tensor") { self.tensor_copy(i, m, reduces) } else { self.bulk_copy(i, m, reduces) }
    }

    /// Takes destination and source spaces: whether each is global.
    fn spaces(m: &mut Modifiers<'a>) -> Result<[bool; 2]> {
        let mut next = || m.take_where(|w| w == "global" || SHARED.contains(&w)).map(|w| w == "global");
        match (next(), next()) {
            (Some(to), Some(from)) if !(to && from) => Ok([to, from]),
            _ => Err(invalid("a bulk copy needs two state spaces, not both global, such as `.shared::cluster.global`")),
        }
    }

    /// Takes how the end of a copy is told, which its destination decides.
    fn completion(m: &mut Modifiers<'a>, to_global: bool) -> Result<()> {
        let (told, grouped) = (m.take("mbarrier::complete_tx::bytes"), m.take("bulk_group"));
        if (told, grouped) == (!to_global, to_global) {
            return Ok(());
        }
        let why =
            "a bulk copy to shared memory completes by `.mbarrier::complete_tx::bytes`, one to global by `.bulk_group`";
        Err(invalid(why))
    }

    fn bulk_copy(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>, reduces: bool) -> Result<()> {
        let policy = usize::from(m.take("L2::cache_hint"));
        if m.take("prefetch") {
            let named = (m.take("L2"), m.take("global"));
            if named != (true, true) {
                return Err(invalid("`cp.async.bulk.prefetch` needs `.L2.global`"));
            }
            self.operands(i, 2 + policy..=2 + policy)?;
            let (from, size) = (self.whole_address(i, 0, Space::Global)?, self.src(i, 1, Type::U32)?);
            let zero = self.constant(0);
            let s = [zero, from, size, zero, zero];
            self.push(Form::List(cold::<Bulk>()), &[], &s, TO_GLOBAL | FROM_GLOBAL | PREFETCH);
            return Ok(());
        }
        let [to_global, from_global] = Self::spaces(m)?;
        Self::completion(m, to_global)?;
        let multicast = m.take("multicast::cluster");
        if multicast && (!from_global || reduces) {
            return Err(invalid("`.multicast::cluster` copies from `.global` to `.shared::cluster`"));
        }
        let mut imm = 0;
        if reduces {
            let names = ["add", "min", "max", "inc", "dec", "and", "or", "xor"];
            let Some(name) = m.one_of(&names) else {
                return Err(invalid("a reduction needs an operation such as `.add`"));
            };
            m.take("noftz");
            let Some(ty) = m.ty() else { return Err(invalid("a reduction needs a type")) };
            // Bits of 64 have the names of numbers in `.shared`.
            let row = bulk::reduction(name, ty, to_global);
            let row = row
                .ok_or_else(|| unsupported(format!("a bulk reduction `.{name}{ty}` to this memory is not executed")))?;
            imm |= row << REDUCTION;
            if from_global {
                return Err(invalid("a bulk reduction reads `.shared::cta`"));
            }
        }
        let fixed = if to_global { 3 } else { 4 };
        let count = fixed + usize::from(multicast) + policy;
        self.operands(i, count..=count)?;
        let space = |global: bool| if global { Space::Global } else { Space::Shared };
        let to = self.whole_address(i, 0, space(to_global))?;
        let from = self.whole_address(i, 1, space(from_global))?;
        let size = self.src(i, 2, Type::U32)?;
        let zero = self.constant(0);
        let barrier = if to_global { zero } else { self.whole_address(i, 3, Space::Shared)? };
        let mask = if multicast { self.src(i, fixed, Type::U16)? } else { zero };
        if policy == 1 {
            self.src(i, count - 1, Type::B64)?;
        }
        self.reads_async |= !from_global;
        imm |= if to_global { TO_GLOBAL } else { 0 } | if from_global { FROM_GLOBAL } else { 0 };
        imm |= if multicast { MULTICAST } else { 0 };
        self.push(Form::List(cold::<Bulk>()), &[], &[to, from, size, barrier, mask], imm);
        Ok(())
    }

    fn tensor_copy(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>, reduces: bool) -> Result<()> {
        let Some(rank) = m.one_of(&["1d", "2d", "3d", "4d", "5d"]) else {
            return Err(invalid("`cp.async.bulk.tensor` needs `.1d` to `.5d`"));
        };
        let rank = usize::from(rank.as_bytes()[0] - b'0');
        m.take("tile");
        let policy = usize::from(m.take("L2::cache_hint"));
        let zero = self.constant(0);
        let mut imm = (rank as u64) << 4;
        if m.take("prefetch") {
            let named = (m.take("L2"), m.take("global"));
            if named != (true, true) {
                return Err(invalid("`cp.async.bulk.prefetch.tensor` needs `.L2.global`"));
            }
            self.operands(i, 1 + policy..=1 + policy)?;
            let (map, coordinates) = self.boxed(i, 0, rank)?;
            let s: Vec<Src> = [zero, map, zero, zero].into_iter().chain(coordinates).collect();
            self.push(Form::List(cold::<TensorCopy>()), &[], &s, imm | PREFETCH);
            return Ok(());
        }
        let [to_global, from_global] = Self::spaces(m)?;
        if to_global == from_global {
            return Err(invalid("`cp.async.bulk.tensor` copies between `.global` and shared memory"));
        }
        Self::completion(m, to_global)?;
        let multicast = from_global && m.take("multicast::cluster");
        if reduces {
            let operation = m.one_of(&REDUCTIONS).filter(|_| to_global);
            let Some(code) = operation.and_then(|name| REDUCTIONS.iter().position(|n| *n == name)) else {
                return Err(invalid("a reduction needs an operation such as `.add`, and goes to `.global`"));
            };
            imm |= (code as u64 + 1) << REDUCTION;
        }
        let fixed = if from_global { 3 } else { 2 };
        let count = fixed + usize::from(multicast) + policy;
        self.operands(i, count..=count)?;
        let (shared, boxed) = if from_global { (0, 1) } else { (1, 0) };
        let shared = self.whole_address(i, shared, Space::Shared)?;
        let (map, coordinates) = self.boxed(i, boxed, rank)?;
        let barrier = if from_global { self.whole_address(i, 2, Space::Shared)? } else { zero };
        let mask = if multicast { self.src(i, fixed, Type::U16)? } else { zero };
        if policy == 1 {
            self.src(i, count - 1, Type::B64)?;
        }
        self.reads_async |= !from_global;
        imm |= if from_global { FROM_GLOBAL } else { TO_GLOBAL } | if multicast { MULTICAST } else { 0 };
        let s: Vec<Src> = [shared, map, barrier, mask].into_iter().chain(coordinates).collect();
        self.push(Form::List(cold::<TensorCopy>()), &[], &s, imm);
        Ok(())
    }

    /// `st.async` and `red.async`.
    pub fn store_async(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_has(i, 90)?;
        m.take("async");
        for word in ["weak", "relaxed", "cluster"] {
            m.take(word);
        }
        let told = (m.take("shared::cluster"), m.take("mbarrier::complete_tx::bytes"));
        if told != (true, true) {
            return Err(unsupported(format!(
                "only `{}.async` of `.shared::cluster` by `.mbarrier::complete_tx::bytes` is executed",
                i.opcode
            )));
        }
        let operation = m.one_of(&["add", "min", "max", "inc", "dec", "and", "or", "xor"]);
        let count = match m.one_of(&["v2", "v4"]) {
            Some("v2") => 2,
            Some(_) => 4,
            None => 1,
        };
        let ty = m.ty().filter(|ty| matches!(ty.size(), 4 | 8));
        let Some(ty) = ty else { return Err(invalid(format!("`{}.async` takes types of 32 and 64 bits", i.opcode))) };
        let mut imm = count as u64 | ty.size() << 4;
        match (i.opcode, operation) {
            ("st", None) => {}
            ("red", Some(name)) if count == 1 => {
                let row = bulk::reduction(name, ty, false);
                let row = row.ok_or_else(|| unsupported(format!("`red.async.{name}{ty}` is not executed")))?;
                imm |= row << REDUCTION;
            }
            _ => return Err(invalid("`red.async` has an operation, `st.async` has none")),
        }
        self.operands(i, 3..=3)?;
        let (to, barrier) = (self.whole_address(i, 0, Space::Shared)?, self.whole_address(i, 2, Space::Shared)?);
        let mut s = vec![to, barrier];
        s.extend(self.sources(&i.operands[1], 1, count, ty)?);
        self.push(Form::List(cold::<StoreAsync>()), &[], &s, imm);
        Ok(())
    }

    pub fn tensor_map(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_has(i, 90)?;
        if m.take("cp_fenceproxy") {
            for word in [
                "global",
                "shared::cta",
                "tensormap::generic",
                "release",
                "cta",
                "cluster",
                "gpu",
                "sys",
                "sync",
                "aligned",
            ] {
                m.take(word);
            }
            self.operands(i, 3..=3)?;
            if i.operands[2] != Operand::Int(128) {
                return Err(invalid("a tensor map has 128 bytes").at(2));
            }
            let (to, from) = (self.whole_address(i, 0, Space::Global)?, self.whole_address(i, 1, Space::Shared)?);
            self.push(Form::List(cold::<CopyMap>()), &[], &[to, from], 0);
            return Ok(());
        }
        if !(m.take("replace") && m.take("tile")) {
            return Err(invalid("`tensormap` is `.replace.tile` or `.cp_fenceproxy`"));
        }
        let names = [
            "global_address",
            "rank",
            "box_dim",
            "global_dim",
            "global_stride",
            "element_stride",
            "elemtype",
            "interleave_layout",
            "swizzle_mode",
            "fill_mode",
        ];
        let Some(field) = m.one_of(&names).and_then(|name| names.iter().position(|n| *n == name)) else {
            return Err(unsupported("this field of a tensor map is not executed"));
        };
        let shared = m.take("shared::cta");
        let global = m.take("global");
        let ty = m.take_where(|w| w == "b1024").and_then(|_| m.ty());
        let wide = matches!(field, 0 | 4);
        if shared && global || ty != Some(if wide { Type::B64 } else { Type::B32 }) {
            return Err(invalid("`tensormap.replace` needs `.b1024` and the type of the field"));
        }
        let by_dimension = (2..=5).contains(&field);
        let count = if by_dimension { 3 } else { 2 };
        self.operands(i, count..=count)?;
        let dimension = match i.operands[1] {
            _ if !by_dimension => 0,
            Operand::Int(n @ 0..=4) => n as u64,
            _ => return Err(invalid("the dimension is a constant from 0 to 4").at(1)),
        };
        let space = match (shared, global) {
            (true, _) => Space::Shared,
            (_, true) => Space::Global,
            _ => Space::Generic,
        };
        let address = self.whole_address(i, 0, space)?;
        let value = self.src(i, count - 1, if wide { Type::B64 } else { Type::B32 })?;
        let value = self.widened(value);
        let imm = field as u64 | dimension << 8 | u64::from(shared) << 16;
        self.push(Form::List(cold::<ReplaceField>()), &[], &[address, value], imm);
        Ok(())
    }
}
