//! From a seed to a kernel that is well defined: no races, no undefined reads, no operation for which
//! PTX promises nothing.

use std::sync::LazyLock;

use super::draw::Draw;
use super::forms::{Form, Kind, Slot, Ty, forms};
use super::inputs::{CELLS, float, integer, region};
use super::ir::{Class, Code, Kernel, Layout, Stmt, Var};
use super::pieces;
use super::table::EXACT;

/// How kernels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Rows of the table that came later are not drawn from.
    pub generation: u32,
    /// Leave NaNs as the instruction makes them. PTX promises the payloads of few of them.
    pub raw_nan: bool,
}

/// The forms of each row, with the row's generation.
static FORMS: LazyLock<Vec<(u32, Vec<Form>)>> =
    LazyLock::new(|| EXACT.iter().map(|row| (row.since, forms(row))).collect());

/// A value that code may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub var: Var,
    pub kind: Kind,
}

/// A kernel in the making.
pub(super) struct Gen {
    pub draw: Draw,
    pub options: Options,
    /// Values in scope, the innermost last.
    pub values: Vec<Value>,
    next: [u32; 4],
    /// The code being written.
    pub code: Code,
    /// All threads of the block come here, or none.
    pub uniform: bool,
    /// All threads of the warp come here, or none.
    pub together: bool,
    /// Some warp of the block is not full.
    pub ragged: bool,
    /// Inside a device function: no inputs, no threads.
    pub function: bool,
    pub locals: Vec<String>,
    pub functions: Vec<String>,
    pub labels: u32,
    budget: usize,
}

/// The kernel of a seed.
pub fn kernel(seed: u64, options: Options) -> Kernel {
    let mut draw = Draw::new(seed, 0);
    let (grid, block) = shape(&mut draw);
    let threads: u32 = block.iter().product();
    let prologue = prologue(&mut draw, grid, block);
    let layout = draw.pick(&[Layout::Threads, Layout::Slots, Layout::Vectors]);
    let budget = 6 + draw.below(22);
    let mut g = Gen {
        draw,
        options,
        values: Vec::new(),
        next: [0; 4],
        code: Code::default(),
        uniform: true,
        together: true,
        ragged: !threads.is_multiple_of(32),
        function: false,
        locals: Vec::new(),
        functions: Vec::new(),
        labels: 0,
        budget,
    };
    let mut body = Vec::new();
    g.statements(&mut body, 0);
    let mut outs: Vec<Var> = g.values.iter().map(|value| value.var).collect();
    outs.truncate(64);
    if outs.is_empty() {
        body.push(g.piece(|g| _ = g.load_input(Ty::named("b32").unwrap_or_else(word))));
        outs.extend(g.values.last().map(|value| value.var));
    }
    let leave = g.values.iter().rev().map(|value| value.var).find(|var| var.class == Class::Pred);
    let leave = leave.filter(|_| g.draw.chance(20));
    Kernel { seed, grid, block, prologue, body, outs, layout, leave, locals: g.locals, functions: g.functions }
}

/// The type `.b32`.
pub(super) fn word() -> Ty {
    Ty { name: "b32", bits: 32, kind: Kind::Bits }
}

fn shape(draw: &mut Draw) -> ([u32; 3], [u32; 3]) {
    let most = draw.pick(&[32, 64, 128, 256]);
    let block = loop {
        let x = match draw.below(4) {
            0 => 32 * (1 + draw.below(4)),
            1 => 1 << draw.below(7),
            2 => 1 + draw.below(40),
            _ => 16 * (1 + draw.below(4)),
        };
        let (y, z) = match draw.below(4) {
            0 => (1, 1),
            1 => (1 + draw.below(8), 1),
            2 => (1 + draw.below(4), 1 + draw.below(4)),
            _ => (1, 1 + draw.below(6)),
        };
        if x * y * z <= most {
            break [x as u32, y as u32, z as u32];
        }
    };
    let grid = draw.pick(&[[1, 1, 1], [1, 1, 1], [1, 1, 1], [2, 1, 1], [3, 1, 1], [1, 2, 1], [2, 2, 1], [1, 1, 3]]);
    (grid, block)
}

/// Reads what the body needs, in any order: registers are initialised on first use.
fn prologue(draw: &mut Draw, grid: [u32; 3], block: [u32; 3]) -> Vec<String> {
    let mut reads = vec![
        "ld.param.u64 %in, [in];".to_owned(),
        "ld.param.u64 %out, [out];".to_owned(),
        "ld.param.u64 %cells, [cells];".to_owned(),
    ];
    // A kernel for flat blocks does not ask for more.
    let deep = block[2] > 1 || draw.chance(40);
    let tall = deep || block[1] > 1 || draw.chance(40);
    let wide = grid[1] * grid[2] > 1 || draw.chance(30);
    let mut read = |register: &str, special: &str| reads.push(format!("mov.u32 %{register}, %{special};"));
    read("tx", "tid.x");
    read("nx", "ntid.x");
    if tall {
        read("ty", "tid.y");
        read("ny", "ntid.y");
    }
    if deep {
        read("tz", "tid.z");
        read("nz", "ntid.z");
    }
    read("cx", "ctaid.x");
    if wide {
        for (register, special) in
            [("cy", "ctaid.y"), ("cz", "ctaid.z"), ("gx", "nctaid.x"), ("gy", "nctaid.y"), ("gz", "nctaid.z")]
        {
            read(register, special);
        }
    }
    draw.shuffle(&mut reads);
    let mut lines = reads;
    let mut add = |line: &str| lines.push(line.to_owned());
    match (deep, tall) {
        (true, _) => {
            add("mad.lo.u32 %lin, %tz, %ny, %ty;");
            add("mad.lo.u32 %lin, %lin, %nx, %tx;");
            add("mul.lo.u32 %total, %nx, %ny;");
            add("mul.lo.u32 %total, %total, %nz;");
        }
        (false, true) => {
            add("mad.lo.u32 %lin, %ty, %nx, %tx;");
            add("mul.lo.u32 %total, %nx, %ny;");
        }
        _ => {
            add("mov.u32 %lin, %tx;");
            add("mov.u32 %total, %nx;");
        }
    }
    if wide {
        add("mad.lo.u32 %blk, %cz, %gy, %cy;");
        add("mad.lo.u32 %blk, %blk, %gx, %cx;");
    } else {
        add("mov.u32 %blk, %cx;");
    }
    add("mad.lo.u32 %gid, %blk, %total, %lin;");
    add(draw.pick(&["and.b32 %lane, %lin, 31;", "mov.u32 %lane, %laneid;"]));
    // The warp's threads: the last warp of a block may have fewer.
    add("sub.u32 %first, %lin, %lane;");
    add("sub.u32 %count, %total, %first;");
    add("min.u32 %count, %count, 32;");
    add("shl.b32 %members, 1, %count;");
    add("sub.u32 %members, %members, 1;");
    lines
}

impl Gen {
    /// A new register of a class, in no scope yet.
    pub fn fresh(&mut self, class: Class) -> Var {
        let next = &mut self.next[class as usize];
        *next += 1;
        Var { class, number: *next - 1 }
    }

    /// A register that the code being written sets.
    pub fn temp(&mut self, class: Class) -> Var {
        let var = self.fresh(class);
        self.code.sets.push(var);
        var
    }

    pub fn emit(&mut self, line: String) {
        self.code.lines.push(line);
    }

    /// Puts a value in scope.
    pub fn keep(&mut self, var: Var, kind: Kind) {
        self.values.push(Value { var, kind });
    }

    /// Code that `write` writes.
    pub fn piece(&mut self, write: impl FnOnce(&mut Self)) -> Stmt {
        self.code = Code::default();
        write(self);
        Stmt::Code(std::mem::take(&mut self.code))
    }

    /// A number that no other label of the kernel has.
    pub fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    fn statements(&mut self, out: &mut Vec<Stmt>, depth: usize) {
        let most = if depth == 0 { self.budget } else { 1 + self.draw.below(5) };
        for _ in 0..most {
            if self.budget == 0 {
                break;
            }
            self.budget -= 1;
            match self.draw.below(100) {
                0..=9 if depth < 3 => self.branch(out, depth),
                10..=16 if depth < 3 => self.repeat(out, depth),
                17..=45 => out.push(pieces::any(self)),
                _ => out.push(self.piece(|g| g.operation(true))),
            }
        }
    }

    /// A branch, and before it what decides.
    fn branch(&mut self, out: &mut Vec<Stmt>, depth: usize) {
        let uniform = self.draw.chance(25);
        let mut guard = None;
        out.push(self.piece(|g| guard = Some(if uniform { g.uniform_predicate() } else { g.source_predicate() })));
        let Some(guard) = guard else { return };
        let context = (self.uniform, self.together);
        if !uniform {
            (self.uniform, self.together) = (false, false);
        }
        let then = self.scope(depth);
        let other = if self.draw.chance(50) { self.scope(depth) } else { Vec::new() };
        (self.uniform, self.together) = context;
        out.push(Stmt::If { guard, negated: self.draw.chance(50), then, other });
    }

    /// A loop, and before it how often it runs.
    fn repeat(&mut self, out: &mut Vec<Stmt>, depth: usize) {
        let uniform = self.draw.chance(40);
        let (trips, counter, again) = (self.fresh(Class::Word), self.fresh(Class::Word), self.fresh(Class::Pred));
        out.push(self.piece(|g| {
            if uniform {
                let times = 1 + g.draw.below(4);
                g.emit(format!("mov.b32 {trips}, {times};"));
            } else {
                let by = g.source(word());
                g.emit(format!("and.b32 {trips}, {by}, 3;"));
                g.emit(format!("add.u32 {trips}, {trips}, 1;"));
            }
            g.code.sets.push(trips);
        }));
        let context = (self.uniform, self.together);
        if !uniform {
            (self.uniform, self.together) = (false, false);
        }
        let body = self.scope(depth);
        (self.uniform, self.together) = context;
        out.push(Stmt::Loop { counter, trips, again, body });
    }

    /// Statements whose values end with them: what they leave is added to values outside.
    fn scope(&mut self, depth: usize) -> Vec<Stmt> {
        let outside = self.values.len();
        let mut body = Vec::new();
        self.statements(&mut body, depth + 1);
        let inside = self.values.split_off(outside);
        for value in inside {
            let class = value.var.class;
            let Some(to) = self.existing(class, None) else { continue };
            body.push(self.piece(|g| match class {
                Class::Pred => g.emit(format!("xor.pred {to}, {to}, {};", value.var)),
                class => {
                    let ty = ["", "u16", "u32", "u64"][class as usize];
                    g.emit(format!("add.{ty} {to}, {to}, {};", value.var));
                }
            }));
        }
        body
    }

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
    fn uniform_predicate(&mut self) -> Var {
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
