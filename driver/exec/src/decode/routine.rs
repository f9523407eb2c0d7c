//! Functions that may call themselves, directly or through others: not inlined, but routines of the kernel.
//!
//! A routine is there once. Its variables lie in the thread's stack, behind its base, so that each call has its own.
//! A call puts what the caller still needs on top of the stack, and the callee's base behind that; where the
//! callee goes on to is a number in a register of its own, by which its end goes to one of the places of its calls.

mod recursive;
mod saves;

use std::collections::HashMap;

use self::saves::Call;
use super::control::Passed;
use super::ir::{Class, Form, Reg, Src};
use super::lower::{Lower, Result, place, unsupported};
use super::memory::{load_handlers, store_handlers};
use crate::ptx::{Function, Param, PtxError, Type};
use crate::vm::integer;
use crate::vm::map::hot2;
use crate::vm::memory::LOCAL;

/// Whatever lies in the stack begins at a multiple of this.
const ALIGN: u64 = 16;

/// A function of the kernel that is not inlined.
pub(super) struct Routine<'a> {
    function: &'a Function,
    /// Register of the function's register 0.
    registers: Reg,
    /// Where its variables begin in local memory.
    base: Reg,
    /// Which of `table` it goes on to at its end.
    link: Reg,
    /// Offsets of parameters and return values behind the base.
    params: Vec<u64>,
    returns: Vec<u64>,
    /// Bytes of them, and of its variables as far as it is lowered.
    size: u64,
    entry: u32,
    table: u32,
    /// The operation at its end, once it is lowered.
    end: usize,
}

/// The routines of a kernel.
#[derive(Default)]
pub(super) struct Routines<'a> {
    all: Vec<Routine<'a>>,
    calls: Vec<Call>,
    /// By index of a function: it may call itself.
    recursive: HashMap<u32, bool>,
    callees: HashMap<u32, Vec<u32>>,
    /// The first register of what is being lowered, if that is a routine.
    first: Reg,
    current: Option<usize>,
}

impl Routines<'_> {
    /// Where the variables begin of the routine that is being lowered, if one is.
    pub fn base(&self) -> Option<Reg> {
        self.current.map(|current| self.all[current].base)
    }

    /// The bytes of them so far.
    pub fn size(&mut self) -> Option<&mut u64> {
        self.current.map(|current| &mut self.all[current].size)
    }
}

impl<'a> Lower<'a> {
    /// The routine of a function, which is lowered later.
    fn routine(&mut self, function: &'a Function) -> usize {
        if let Some(known) = self.routines.all.iter().position(|known| std::ptr::eq(known.function, function)) {
            return known;
        }
        let registers = self.registers_of(function);
        let (base, link) = (self.temp(Class::Double), self.temp(Class::Word));
        let mut size = 0;
        let mut places = |params: &[Param]| -> Vec<u64> {
            let place = |param: &Param| match param.register {
                Some(_) => 0,
                None => place(&mut size, param.size, param.align),
            };
            params.iter().map(place).collect()
        };
        let (params, returns) = (places(&function.params), places(&function.returns));
        let entry = self.new_label();
        self.ir.tables.push(Vec::new());
        let table = self.ir.tables.len() as u32 - 1;
        self.routines.all.push(Routine {
            function,
            registers,
            base,
            link,
            params,
            returns,
            size,
            entry,
            table,
            end: 0,
        });
        self.routines.all.len() - 1
    }

    /// A call of a function that may call itself.
    pub fn call_routine(&mut self, function: &'a Function, passed: Passed) -> Result<()> {
        let index = self.routine(function);
        let top = self.stack_top();
        let Routine { registers, base, link, entry, table, .. } = self.routines.all[index];
        let pieces = |params: &[Param], from: &[u64], to: &[u64]| -> Vec<(u64, u64, Type)> {
            let memory = params.iter().zip(from.iter().zip(to)).filter(|(param, _)| param.register.is_none());
            memory.flat_map(|(param, (&from, &to))| pieces(from, to, param.size)).collect()
        };
        let Routine { params, returns, .. } = &self.routines.all[index];
        let given = pieces(&function.params, &passed.places, params);
        let taken = pieces(&function.returns, returns, &passed.return_places);
        // The call itself counts as one instruction.
        self.nothing();
        // All arguments are read before any register of the callee is written: it may be the caller.
        let mut inputs = Vec::new();
        for &(register, value) in &passed.inputs {
            let d = registers + register;
            let copy = self.temp(self.class_of(d));
            self.copy_register(copy, value);
            inputs.push((d, copy));
        }
        let mut words = Vec::new();
        for &(from, to, ty) in &given {
            let address = self.local_address(from);
            words.push((to, ty, self.load_local(ty, address)?));
        }
        let mut saves = self.save_own(top)?;
        let up = self.ir.nodes.len();
        let nothing = self.constant(0);
        self.map(hot2::<integer::Add<u64>>(), base, &[Src::Reg(top), nothing]);
        for (d, copy) in inputs {
            self.copy_register(d, Src::Reg(copy));
        }
        for (to, ty, value) in words {
            let address = self.behind(base, to);
            self.store_local(ty, address, value)?;
        }
        let number = self.constant(self.ir.tables[table as usize].len() as u64);
        self.copy_register(link, number);
        let (jump, back) = (self.ir.nodes.len(), self.new_label());
        self.push(Form::Jump(entry), &[], &[], 0);
        self.ir.tables[table as usize].push(back);
        self.label(back);
        // Its results are read before the caller's registers come back.
        let mut outputs = Vec::new();
        for &(d, register) in &passed.outputs {
            let copy = self.temp(self.class_of(d));
            self.copy_register(copy, Src::Reg(registers + register));
            outputs.push((d, copy));
        }
        let mut words = Vec::new();
        for &(from, to, ty) in &taken {
            let address = self.behind(base, from);
            words.push((to, ty, self.load_local(ty, address)?));
        }
        let down = self.ir.nodes.len();
        self.map(hot2::<integer::Sub<u64>>(), top, &[Src::Reg(base), nothing]);
        self.restore_own(top, &mut saves)?;
        for (d, copy) in outputs {
            self.copy_register(d, Src::Reg(copy));
        }
        for (to, ty, value) in words {
            let address = self.local_address(to);
            self.store_local(ty, address, value)?;
        }
        self.routines.calls.push(Call { jump, moves: [up, down], saves });
        Ok(())
    }

    /// Lowers the routines that have been called, and what these call.
    pub fn lower_routines(&mut self) -> std::result::Result<(), Box<PtxError>> {
        let mut next = 0;
        while let Some(&Routine { function, registers, base, link, ref params, ref returns, entry, table, .. }) =
            self.routines.all.get(next)
        {
            let (params, returns) = (params.clone(), returns.clone());
            self.routines.current = Some(next);
            self.routines.first = self.ir.classes.len() as Reg;
            self.label(entry);
            self.counted = true;
            let (top, begin) = (self.stack_top(), self.ir.nodes.len());
            let nothing = self.constant(0);
            self.map(hot2::<integer::Add<u64>>(), top, &[Src::Reg(base), nothing]);
            self.frame(function, registers, params, returns)?;
            self.counted = true;
            self.routines.all[next].end = self.ir.nodes.len();
            self.push(Form::Table(table), &[], &[Src::Reg(link)], 0);
            let size = self.constant(self.routines.all[next].size.next_multiple_of(ALIGN));
            self.ir.nodes[begin].s[1] = size;
            next += 1;
        }
        self.routines.current = None;
        self.settle_saves();
        Ok(())
    }

    /// Address in local memory of what lies at `offset` of a frame.
    pub fn local_address(&mut self, offset: u64) -> Src {
        match self.routines.base() {
            Some(base) => self.behind(base, offset),
            None => self.constant(offset),
        }
    }

    fn behind(&mut self, base: Reg, offset: u64) -> Src {
        let (d, offset) = (self.temp(Class::Double), self.constant(offset));
        self.map(hot2::<integer::Add<u64>>(), d, &[Src::Reg(base), offset]);
        Src::Reg(d)
    }

    pub fn load_local(&mut self, ty: Type, address: Src) -> Result<Reg> {
        let handlers = load_handlers(ty, LOCAL, true).ok_or_else(|| unsupported("this argument is not executed"))?;
        let d = self.temp(super::lower::class(ty));
        self.push(Form::Load(handlers), &[d], &[address], 0).traits.volatile = true;
        Ok(d)
    }

    pub fn store_local(&mut self, ty: Type, address: Src, value: Reg) -> Result<()> {
        let handlers = store_handlers(ty.size(), LOCAL, true);
        let handlers = handlers.ok_or_else(|| unsupported("this argument is not executed"))?;
        self.push(Form::Store(handlers), &[], &[address, Src::Reg(value)], 0);
        Ok(())
    }
}

/// How `size` bytes go from offset `from` of one frame to offset `to` of another, both behind multiples of 16: pieces of
/// the widest type that both allow.
fn pieces(from: u64, to: u64, size: u64) -> Vec<(u64, u64, Type)> {
    let mut done = 0;
    let mut found = Vec::new();
    while done < size {
        let fits = |bytes: u64| (from + done).is_multiple_of(bytes) && (to + done).is_multiple_of(bytes);
        let types = [Type::B64, Type::B32, Type::B16, Type::B8];
        let ty = types.into_iter().find(|ty| ty.size() <= size - done && fits(ty.size())).unwrap_or(Type::B8);
        found.push((from + done, to + done, ty));
        done += ty.size();
    }
    found
}
