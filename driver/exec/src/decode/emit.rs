//! Operations → flat code.

mod batch;
mod product;

use super::ir::{Class, Form, Ir, Node, Reg, Src};
use super::lower::Lowered;
use super::parting::parting;
use super::slots::{self, Slots};
use super::uniform::{self, Uniform};
use crate::code::{Code, HandlerSet, Inst};
use crate::isa::Isa;
use crate::program::{Entry, Style};
use crate::slot::{RegisterSlot, SCALAR};
use crate::vm::flow;
use crate::vm::map::{Pause, cold, exec, step};

/// The code of a kernel, its form for blocks of any shape and for lanes that go their own ways,
/// and the registers of a thread.
pub(super) fn codes(lowered: &Lowered, entry: &Entry) -> (Code, Option<Code>, u32) {
    let make = |uniform: &Uniform| code(lowered, uniform, entry);
    let registers = |slots: &Slots| slots.vectors.clamp(16, 255);
    if entry.style == Style::Simple {
        let made = make(&uniform::none(&lowered.ir));
        return (made.code, None, registers(&made.slots));
    }
    let Some(full) = uniform::full(&lowered.ir) else {
        let made = make(&uniform::plain(&lowered.ir));
        return (made.code, None, registers(&made.slots));
    };
    let mut made = make(&full);
    let plain = (full.needs_rows || !full.meetings.is_empty()).then(|| {
        let plain = make(&uniform::plain(&lowered.ir));
        let parting = parting(&lowered.ir, &made.slots, &made.begins, &plain.slots, &plain.begins);
        made.code.parting = Some(parting);
        plain.code
    });
    (made.code, plain, registers(&made.slots))
}

/// Code, and how it came to be.
struct Made {
    code: Code,
    slots: Slots,
    /// By operation: where it begins.
    begins: Vec<Begins>,
}

/// The first instruction of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begins {
    /// With a meeting of lanes in front of it, and a way back to the loop.
    pub all: u32,
    /// Without.
    pub itself: u32,
}

struct Emitter<'a> {
    ir: &'a Ir,
    isa: Isa,
    style: Style,
    meetings: &'a [usize],
    slots: &'a Slots,
    insts: Vec<Inst>,
    extras: Vec<u32>,
    origin_of: Vec<u32>,
    labels: Vec<u32>,
    /// Instructions whose immediate's low half is a label.
    jumps: Vec<usize>,
    /// Tables: place in `extras` and index.
    tables: Vec<(usize, u32)>,
    sites: u32,
    begins: Vec<Begins>,
    /// PTX instructions since the block began.
    count: u32,
    /// Behind the last instruction that gives what comes next to the loop.
    paused: usize,
}

/// Instructions that call each other without a way back to the loop, at most, and those of one operation or batch.
const MOST_STRAIGHT: usize = 64;

fn code(lowered: &Lowered, facts: &Uniform, entry: &Entry) -> Made {
    let ir = &lowered.ir;
    let slots = slots::assign(ir, &facts.registers);
    let mut emitter = Emitter {
        ir,
        isa: entry.isa,
        style: entry.style,
        meetings: &facts.meetings,
        slots: &slots,
        insts: Vec::with_capacity(ir.nodes.len()),
        extras: Vec::new(),
        origin_of: Vec::new(),
        labels: vec![0; ir.labels as usize],
        jumps: Vec::new(),
        tables: Vec::new(),
        sites: 0,
        begins: Vec::with_capacity(ir.nodes.len()),
        count: 0,
        paused: 0,
    };
    emitter.all();
    let Emitter { insts, extras, origin_of, sites, begins, .. } = emitter;
    let (mut vectors, mut shared_by_lanes) = (Vec::new(), Vec::new());
    for &(r, init) in &ir.inputs {
        match slots.registers[r as usize] {
            Some(RegisterSlot::Vector(slot)) => vectors.push((slot, init)),
            Some(RegisterSlot::Uniform(slot)) => shared_by_lanes.push((slot, init)),
            // No input is a predicate, and one that nothing reads has no slot.
            Some(RegisterSlot::Predicate(_)) | None => {}
        }
    }
    let code = Code {
        insts,
        extras,
        origin_of,
        origins: lowered.origins.clone(),
        source: entry.module.source.clone(),
        files: entry.module.files.clone(),
        scalars: slots.fixed.iter().copied().zip(ir.scalars.iter().copied()).collect(),
        vectors,
        shared_by_lanes,
        file_bytes: slots.bytes as usize,
        memory_sites: sites,
        parting: None,
        reserved: lowered.reserved.map(|at| at as u32),
        needs_rows: facts.needs_rows,
        polls: ir.nodes.iter().any(|node| node.traits.volatile || matches!(node.form, Form::Atomic(_))),
        reads_async: lowered.reads_async,
        lets_begin: lowered.lets_begin,
    };
    Made { code, slots, begins }
}

impl Emitter<'_> {
    fn all(&mut self) {
        let ir = self.ir;
        let mut wanted = vec![false; ir.labels as usize];
        for node in &ir.nodes {
            match node.form {
                Form::Jump(l) | Form::Branch(l, _) => wanted[l as usize] = true,
                Form::Table(t) => ir.tables[t as usize].iter().for_each(|&l| wanted[l as usize] = true),
                _ => {}
            }
        }
        let mut open = false;
        let mut meetings = self.meetings.iter().copied().peekable();
        // Labels of a meeting point lead to the instruction that waits.
        let mut waiting = false;
        let mut behind = 0;
        for (at, node) in ir.nodes.iter().enumerate() {
            if at < behind {
                continue;
            }
            waiting |= meetings.next_if_eq(&at).is_some();
            self.begins_here();
            if !matches!(node.form, Form::Label(_)) && std::mem::take(&mut waiting) {
                self.put(node, step::<flow::Meet>(), [0; 4], 0);
            }
            if let Form::Label(label) = node.form {
                if wanted[label as usize] && open {
                    self.put(node, step::<flow::Fall>(), [0, 0, 0, self.count], 0);
                    self.count = 0;
                    open = false;
                }
                self.labels[label as usize] = self.insts.len() as u32;
                self.itself_begins();
                continue;
            }
            if self.insts.len() - self.paused >= MOST_STRAIGHT {
                self.put(node, cold::<Pause>(), [0; 4], 0);
                self.paused = self.insts.len();
            }
            self.itself_begins();
            self.count += u32::from(node.counted);
            let next_meeting = meetings.peek().map_or(usize::MAX, |&next| next);
            if let Some(next) = self.batch(at, next_meeting) {
                (open, behind) = (true, next);
                continue;
            }
            open = !matches!(node.form, Form::Jump(_) | Form::Branch(..) | Form::Table(_) | Form::Exit | Form::Trap);
            match node.guard {
                Some((p, negated)) => {
                    let at = self.insts.len();
                    let p = self.register(p);
                    self.put(node, step::<flow::Guard>(), [0, p, 0, 0], u64::from(negated));
                    self.node(node);
                    self.put(node, exec::<flow::Unguard>(), [0; 4], 0);
                    let skip = (self.insts.len() - at) as u64;
                    self.insts[at].imm |= skip << 32;
                }
                None => self.node(node),
            }
            if !open {
                self.count = 0;
            }
            if matches!(node.form, Form::Jump(_) | Form::Table(_) | Form::Exit | Form::Trap) {
                // What is behind it is reached from the loop.
                self.paused = self.insts.len();
            }
        }
        for &at in &self.jumps {
            let imm = &mut self.insts[at].imm;
            let label = *imm as u32;
            *imm = (*imm & !0xffff_ffff) | u64::from(self.labels[label as usize]);
        }
        for &(at, table) in &self.tables {
            for (n, &label) in self.ir.tables[table as usize].iter().enumerate() {
                self.extras[at + n] = self.labels[label as usize];
            }
        }
    }

    fn begins_here(&mut self) {
        let here = self.insts.len() as u32;
        self.begins.push(Begins { all: here, itself: here });
    }

    /// What is written next is what the last operation does itself.
    fn itself_begins(&mut self) {
        if let Some(begins) = self.begins.last_mut() {
            begins.itself = self.insts.len() as u32;
        }
    }

    fn put(&mut self, node: &Node, handlers: HandlerSet, [d, a, b, c]: [u32; 4], imm: u64) {
        self.insts.push(Inst { handler: handlers.get(self.isa), d, a, b, c, imm });
        self.origin_of.push(node.origin);
    }

    fn src(&self, s: Src) -> u32 {
        match s {
            Src::Reg(r) => self.register(r),
            Src::Fixed(i) => RegisterSlot::Uniform(self.slots.fixed[i as usize]).operand(),
        }
    }

    fn register(&self, r: Reg) -> u32 {
        let slot = self.slots.registers[r as usize];
        debug_assert!(slot.is_some(), "an operation names register {r}, which has no slot");
        slot.map_or(0, RegisterSlot::operand)
    }

    fn site(&mut self) -> u32 {
        self.sites += 1;
        self.sites - 1
    }

    fn list(&mut self, items: impl IntoIterator<Item = u32>) -> u32 {
        let at = self.extras.len() as u32;
        self.extras.extend(items);
        at
    }

    fn node(&mut self, node: &Node) {
        let d: Vec<u32> = node.d.iter().map(|&d| self.register(d)).collect();
        let s: Vec<u32> = node.s.iter().map(|&s| self.src(s)).collect();
        let at = |v: &[u32], n: usize| v.get(n).copied().unwrap_or(0);
        let count = self.count;
        debug_assert!(self.whole(node, &d, &s), "one value for the warp comes from a register of its lanes");
        match node.form {
            Form::Map(op) => {
                let kinds = s.iter().enumerate().fold(0, |k, (n, &s)| k | (s & SCALAR) << n);
                let vector = at(&d, 0) & SCALAR == 0;
                let special = op.special.filter(|_| vector && self.style == Style::Fast).and_then(|f| f(kinds));
                self.put(node, special.unwrap_or(op.general), [at(&d, 0), at(&s, 0), at(&s, 1), at(&s, 2)], node.imm);
            }
            Form::Chain => self.products(node).iter().for_each(|product| self.product(node, product)),
            Form::Fields(h) => self.put(node, h, [at(&d, 0), at(&s, 0), at(&s, 1), at(&s, 2)], node.imm),
            Form::List(h) => {
                let list = self.list(d.into_iter().chain(s));
                self.put(node, h, [0, 0, 0, list], node.imm);
            }
            Form::Load(h) => {
                let site = self.site();
                self.put(node, h, [at(&d, 0), at(&s, 0), site, node.traits.used_bytes], node.imm);
            }
            Form::LoadVector(h) => {
                let (site, list) = (self.site(), self.list(d));
                self.put(node, h, [node.traits.used_bytes, at(&s, 0), site, list], node.imm);
            }
            Form::Store(h) => {
                let site = self.site();
                self.put(node, h, [at(&s, 1), at(&s, 0), site, 0], node.imm);
            }
            Form::StoreVector(h) => {
                let (site, list) = (self.site(), self.list(s[1..].iter().copied()));
                self.put(node, h, [0, at(&s, 0), site, list], node.imm);
            }
            Form::Atomic(h) => {
                let site = self.site();
                let list = self.list([at(&d, 0), at(&s, 1), at(&s, 2)]);
                self.put(node, h, [u32::from(d.is_empty()), at(&s, 0), site, list], node.imm);
            }
            Form::AtomicWide(h, flag) => {
                let site = self.site();
                let list = self.list(d.iter().copied().chain(s[1..].iter().copied()));
                self.put(node, h, [u32::from(flag), at(&s, 0), site, list], node.imm);
            }
            Form::Matrix(h) => {
                let (site, last) = (self.site(), s.len() - 1);
                let items: Vec<u32> =
                    [s[last]].into_iter().chain(d.iter().copied()).chain(s[1..last].iter().copied()).collect();
                let list = self.list(items);
                self.put(node, h, [at(&d, 0), at(&s, 0), site, list], node.imm);
            }
            Form::Copy(h, [to, from]) => {
                let list = self.list([at(&s, 2), to as u32, from as u32]);
                let (first, second) = (self.site(), self.site());
                self.put(node, h, [first, at(&s, 0), at(&s, 1), second], node.imm | u64::from(list) << 16);
            }
            Form::Label(_) | Form::Gone => {}
            Form::Jump(label) => {
                self.jumps.push(self.insts.len());
                self.put(node, step::<flow::Jump>(), [0, 0, 0, count], u64::from(label));
            }
            Form::Branch(label, negated) => {
                self.jumps.push(self.insts.len());
                let imm = u64::from(label) | u64::from(negated) << 32;
                self.put(node, step::<flow::Branch>(), [0, at(&s, 0), 0, count], imm);
            }
            Form::Table(table) => {
                let size = self.ir.tables[table as usize].len();
                let list = self.list(std::iter::repeat_n(0, size));
                self.tables.push((list as usize, table));
                self.put(node, cold::<flow::Table>(), [size as u32, at(&s, 0), list, count], 0);
            }
            Form::Exit => self.put(node, cold::<flow::Exit>(), [0, 0, 0, count], 0),
            Form::Trap => self.put(node, cold::<flow::Trap>(), [0, 0, 0, count], 0),
            Form::Barrier(h) => {
                let threads = if node.imm & 1 != 0 { at(&s, 1) } else { 0 };
                let votes = if node.imm & 4 != 0 { s[s.len() - 1] } else { 0 };
                self.put(node, h, [votes, at(&s, 0), threads, 0], node.imm);
            }
        }
    }

    /// Whether a value for the whole warp comes from such values: what is computed from lanes comes from the first,
    /// which may not have been there when they got theirs. Special registers have a value in every lane.
    fn whole(&self, node: &Node, d: &[u32], s: &[u32]) -> bool {
        let special = |r: Reg| self.ir.inputs.iter().any(|&(input, _)| input == r);
        let computes =
            matches!(node.form, Form::Map(_) | Form::Chain | Form::Fields(_) | Form::Load(_) | Form::LoadVector(_));
        !computes
            || d.iter().all(|d| d & SCALAR == 0)
            || node.s.iter().zip(s).all(|(source, operand)| match *source {
                // A predicate has a bit a lane, which are alike.
                Src::Reg(r) => operand & SCALAR != 0 || special(r) || self.ir.classes[r as usize] == Class::Pred,
                Src::Fixed(_) => true,
            })
    }
}
