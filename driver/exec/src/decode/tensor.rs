//! `mma.sync`, `mma.sp.sync` and `wmma`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, handler_space, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::fragment::{Accumulator, Fragment, Matrix, Multiplicand, Product, Shape, filled, filled_by_sums};
use crate::vm::lane::{BF16, F16};
use crate::vm::map::{cold, step};
use crate::vm::matrix::Mma;
use crate::vm::product::{MultiplyInQuads, MultiplyMatrices};
use crate::vm::rounding;
use crate::vm::wmma::{LoadFragment, StoreFragment};

/// Types of `mma.sync` with their shapes; the first target that has them.
const MMA: &[(&[Multiplicand], &[&str], u32)] = &[
    (&[Multiplicand::F16], &["m16n8k8", "m16n8k16", "m8n8k4"], 70),
    (&[Multiplicand::BF16], &["m16n8k8", "m16n8k16"], 80),
    (&[Multiplicand::TF32], &["m16n8k4", "m16n8k8"], 80),
    (&[Multiplicand::F64], &["m8n8k4"], 80),
    (&[Multiplicand::F64], &["m16n8k4", "m16n8k8", "m16n8k16"], 90),
    (&[Multiplicand::E4M3, Multiplicand::E5M2], &["m16n8k16", "m16n8k32"], 89),
    (&[Multiplicand::S8, Multiplicand::U8], &["m8n8k16", "m16n8k16", "m16n8k32"], 75),
    (&[Multiplicand::S4, Multiplicand::U4], &["m8n8k32", "m16n8k32", "m16n8k64"], 75),
    (&[Multiplicand::B1], &["m8n8k128", "m16n8k128", "m16n8k256"], 75),
];

/// As [`MMA`], of `mma.sp.sync`, with how many lanes of a quad hold the metadata.
const SPARSE: &[(&[Multiplicand], &str, u32, u32)] = &[
    (&[Multiplicand::F16], "m16n8k16", 80, 1),
    (&[Multiplicand::F16], "m16n8k32", 80, 2),
    (&[Multiplicand::BF16], "m16n8k16", 80, 1),
    (&[Multiplicand::BF16], "m16n8k32", 80, 2),
    (&[Multiplicand::TF32], "m16n8k8", 80, 1),
    (&[Multiplicand::TF32], "m16n8k16", 80, 2),
    (&[Multiplicand::S8, Multiplicand::U8], "m16n8k32", 80, 2),
    (&[Multiplicand::S8, Multiplicand::U8], "m16n8k64", 80, 4),
    (&[Multiplicand::S4, Multiplicand::U4], "m16n8k64", 80, 2),
    (&[Multiplicand::S4, Multiplicand::U4], "m16n8k128", 80, 4),
    (&[Multiplicand::E4M3, Multiplicand::E5M2], "m16n8k64", 89, 4),
];

/// As [`MMA`], of `wmma`.
const WMMA: &[(&[Multiplicand], &[&str], u32)] = &[
    (&[Multiplicand::F16], &["m16n16k16", "m8n32k16", "m32n8k16"], 70),
    (&[Multiplicand::BF16], &["m16n16k16", "m8n32k16", "m32n8k16"], 80),
    (&[Multiplicand::TF32], &["m16n16k8"], 80),
    (&[Multiplicand::F64], &["m8n8k4"], 80),
    (&[Multiplicand::S8, Multiplicand::U8], &["m16n16k16", "m8n32k16", "m32n8k16"], 72),
    (&[Multiplicand::S4, Multiplicand::U4], &["m8n8k32"], 75),
    (&[Multiplicand::B1], &["m8n8k128"], 75),
];

/// Accumulators of products of `a`.
fn sums_of(a: Multiplicand) -> &'static [Accumulator] {
    match a {
        Multiplicand::F16 | Multiplicand::E4M3 | Multiplicand::E5M2 => &[Accumulator::F32, Accumulator::F16],
        Multiplicand::BF16 | Multiplicand::TF32 => &[Accumulator::F32],
        Multiplicand::F64 => &[Accumulator::F64],
        _ => &[Accumulator::S32],
    }
}

/// Type of the registers that hold elements of so many bits.
fn register(bits: u32) -> Type {
    if bits == 64 { Type::B64 } else { Type::B32 }
}

/// Registers of A or B in the operand list of `wmma`.
fn listed(ty: Multiplicand, lines: usize, depth: usize) -> usize {
    // Halves take eight registers, whatever they fill.
    if ty == Multiplicand::F16 { 8 } else { filled(lines, depth, ty.bits()) }
}

/// Takes the orders of A and B: whether each is in row order.
fn orders(i: &Instruction, m: &mut Modifiers<'_>) -> Result<[bool; 2]> {
    let order = |m: &mut Modifiers<'_>| m.take_where(|w| w == "row" || w == "col").map(|w| w == "row");
    match (order(m), order(m)) {
        (Some(a), Some(b)) => Ok([a, b]),
        _ => Err(invalid(format!("`{}` needs the orders of A and B, such as `.row.col`", i.opcode))),
    }
}

impl<'a> Lower<'a> {
    /// Takes `D, A, B, C` types, or says what is wrong with them.
    fn product(&self, i: &Instruction, m: &mut Modifiers<'a>, shape: Shape) -> Result<Product> {
        let saturate = m.take("satfinite");
        let rounding = m.rounding();
        let bitwise = m.one_of(&["xor", "and"]).filter(|_| m.take("popc"));
        let words: Vec<&str> = std::iter::from_fn(|| m.first()).collect();
        let what = || format!("`{}` of types `{}` is not executed", i.opcode, words.join("."));
        let unknown = |w: &&&str| Accumulator::from_name(w).is_none() && Multiplicand::from_name(w).is_none();
        if let Some(word) = words.iter().find(unknown) {
            return Err(unsupported(format!("`.{word}` of `{}` is not executed", i.opcode)));
        }
        // `wmma` of halves names only D and C.
        let (d, a, b, c) = match words[..] {
            [d, c] => (d, "f16", "f16", c),
            [d, a, b, c] => (d, a, b, c),
            _ => return Err(invalid(format!("`{}` needs the types of D, A, B and C", i.opcode))),
        };
        let types = (
            Accumulator::from_name(d),
            Multiplicand::from_name(a),
            Multiplicand::from_name(b),
            Accumulator::from_name(c),
        );
        let (Some(d), Some(a), Some(b), Some(c)) = types else { return Err(unsupported(what())) };
        let integers = c == Accumulator::S32;
        let sums = sums_of(a);
        if !sums.contains(&d) || !sums.contains(&c) || a.bits() != b.bits() || sums_of(b) != sums {
            return Err(invalid(format!("no `{}` has the types `{}`", i.opcode, words.join("."))));
        }
        if saturate && (!integers || a == Multiplicand::B1) {
            return Err(invalid(format!("`.satfinite` of `{}` is for integers", i.opcode)));
        }
        if (a == Multiplicand::B1) != bitwise.is_some() {
            return Err(invalid(format!(
                "`{}` of single bits, and no other, has `.xor.popc` or `.and.popc`",
                i.opcode
            )));
        }
        let and = bitwise == Some("and");
        if rounding.is_some() && a != Multiplicand::F64 {
            return Err(invalid(format!("a rounding of `{}` is for `.f64`", i.opcode)));
        }
        let rounding = rounding.unwrap_or(rounding::NEAREST);
        Ok(Product { shape, a, b, c, d, registers: (0, 0), saturate, and, rounding, sparse: None })
    }

    fn shape(&self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<(Shape, &'a str)> {
        let name = m.take_where(|w| Shape::from_name(w).is_some());
        let Some((name, shape)) = name.and_then(|n| Some((n, Shape::from_name(n)?))) else {
            return Err(invalid(format!("`{}` needs a shape such as `.m16n8k16`", i.opcode)));
        };
        Ok((shape, name))
    }

    pub fn mma(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let ordered = m.take("sp::ordered_metadata");
        let sparse = m.take("sp") || ordered;
        m.take("aligned");
        let (shape, name) = self.shape(i, m)?;
        let orders = orders(i, m)?;
        let mut product = self.product(i, m, shape)?;
        if sparse {
            return self.sparse(i, product, name, orders);
        }
        let Some(&(.., target)) =
            MMA.iter().find(|(types, shapes, _)| types.contains(&product.a) && shapes.contains(&name))
        else {
            return Err(unsupported(format!("`mma.sync` of shape `{name}` and these types is not executed")));
        };
        self.target_has(i, target)?;
        self.operands(i, 4..=4)?;
        if name == "m8n8k4" && product.a == Multiplicand::F16 {
            return self.mma_in_quads(i, product, orders);
        }
        if orders != [true, false] {
            return Err(invalid("`mma.sync` of this shape has A in `.row` and B in `.col` order"));
        }
        if product.a.bits() == 16 && product.c != product.d {
            return Err(invalid("C and D of this `mma.sync` have one type"));
        }
        let bits = product.a.bits();
        product.registers = (filled(shape.m, shape.k, bits), filled(shape.n, shape.k, bits));
        let halves = product.d == Accumulator::F16;
        let handlers = match (product.a, shape.k) {
            (Multiplicand::BF16, 16) => step::<Mma<BF16, 16>>(),
            (Multiplicand::BF16, _) => step::<Mma<BF16, 8>>(),
            (Multiplicand::F16, 16) => step::<Mma<F16, 16>>(),
            (Multiplicand::F16, _) => step::<Mma<F16, 8>>(),
            _ => return self.multiply(i, product),
        };
        let (d, s) = self.matrices(i, &product)?;
        self.push(Form::List(handlers), &d, &s, u64::from(halves));
        Ok(())
    }

    /// D's registers; members and the registers of A, B and C.
    fn matrices(&mut self, i: &Instruction, p: &Product) -> Result<(Vec<u32>, Vec<Src>)> {
        let d = self.registers(&i.operands[0], 0, filled_by_sums(p.shape, p.d), register(p.d.bits()))?;
        let mut s = vec![self.constant(u64::from(u32::MAX))];
        s.extend(self.sources(&i.operands[1], 1, p.registers.0, register(p.a.bits()))?);
        s.extend(self.sources(&i.operands[2], 2, p.registers.1, register(p.b.bits()))?);
        s.extend(self.sources(&i.operands[3], 3, filled_by_sums(p.shape, p.c), register(p.c.bits()))?);
        Ok((d, s))
    }

    fn multiply(&mut self, i: &Instruction, product: Product) -> Result<()> {
        let (d, s) = self.matrices(i, &product)?;
        self.push(Form::List(step::<MultiplyMatrices>()), &d, &s, product.pack());
        Ok(())
    }

    fn mma_in_quads(&mut self, i: &Instruction, p: Product, [a_rows, b_rows]: [bool; 2]) -> Result<()> {
        let single = |ty| ty == Accumulator::F32;
        if single(p.c) && !single(p.d) {
            return Err(invalid("`mma.sync.m8n8k4` with C in `.f32` has D in `.f32`"));
        }
        let ends = |ty| if single(ty) { 8 } else { 4 };
        let d = self.registers(&i.operands[0], 0, ends(p.d), Type::B32)?;
        let mut s = vec![self.constant(u64::from(u32::MAX))];
        for (n, count) in [(1, 2), (2, 2), (3, ends(p.c))] {
            s.extend(self.sources(&i.operands[n], n, count, Type::B32)?);
        }
        let mode = [a_rows, b_rows, single(p.c), single(p.d)];
        let imm = mode.iter().enumerate().fold(0, |imm, (n, &bit)| imm | u64::from(bit) << n);
        self.push(Form::List(cold::<MultiplyInQuads>()), &d, &s, imm);
        Ok(())
    }

    fn sparse(&mut self, i: &Instruction, mut p: Product, name: &str, orders: [bool; 2]) -> Result<()> {
        let Some(&(.., target, holders)) =
            SPARSE.iter().find(|(types, shape, ..)| types.contains(&p.a) && *shape == name)
        else {
            return Err(unsupported(format!("`mma.sp.sync` of shape `{name}` and these types is not executed")));
        };
        self.target_has(i, target)?;
        if orders != [true, false] || p.c != p.d {
            return Err(invalid("`mma.sp.sync` has A in `.row` and B in `.col` order, C and D of one type"));
        }
        self.operands(i, 6..=6)?;
        let Operand::Int(selector @ 0..4) = i.operands[5] else {
            return Err(invalid("the sparsity selector is a constant from 0 to 3").at(5));
        };
        let selector = selector as u32;
        if selector >= 4 / holders {
            return Err(invalid(format!("the sparsity selector of this shape is below {}", 4 / holders)).at(5));
        }
        let Shape { m, n, k } = p.shape;
        p.registers = (filled(m, k / 2, p.a.bits()), filled(n, k, p.b.bits()));
        p.sparse = Some(selector);
        let (d, mut s) = self.matrices(i, &p)?;
        s.push(self.src(i, 4, Type::B32)?);
        self.push(Form::List(step::<MultiplyMatrices>()), &d, &s, p.pack());
        Ok(())
    }

    pub fn wmma(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        m.take("aligned");
        match (m.take("mma"), m.take("load"), m.take("store")) {
            (true, ..) => self.wmma_product(i, m),
            (_, true, _) => self.wmma_move(i, m, true),
            (.., true) => self.wmma_move(i, m, false),
            _ => Err(invalid("`wmma` is `.load`, `.store` or `.mma`")),
        }
    }

    fn wmma_product(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let (shape, name) = self.shape(i, m)?;
        let orders = orders(i, m)?;
        let mut p = self.product(i, m, shape)?;
        self.wmma_target(i, p.a, name)?;
        if p.a.bits() < 8 && orders != [true, false] {
            return Err(invalid("`wmma.mma` of this type has A in `.row` and B in `.col` order"));
        }
        p.registers = (listed(p.a, shape.m, shape.k), listed(p.b, shape.n, shape.k));
        self.operands(i, 4..=4)?;
        self.multiply(i, p)
    }

    fn wmma_target(&self, i: &Instruction, a: Multiplicand, shape: &str) -> Result<()> {
        let Some(&(.., target)) = WMMA.iter().find(|(types, shapes, _)| types.contains(&a) && shapes.contains(&shape))
        else {
            return Err(unsupported(format!("`wmma` of shape `{shape}` and this type is not executed")));
        };
        self.target_has(i, target)
    }

    fn wmma_move(&mut self, i: &Instruction, m: &mut Modifiers<'a>, loading: bool) -> Result<()> {
        let (shape, name) = self.shape(i, m)?;
        let matrix = match m.one_of(&["a", "b", "c", "d"]) {
            Some("a") if loading => Matrix::A,
            Some("b") if loading => Matrix::B,
            Some("c") if loading => Matrix::Sums,
            Some("d") if !loading => Matrix::Sums,
            _ => return Err(invalid("`wmma.load` takes `.a`, `.b` or `.c`, `wmma.store` takes `.d`")),
        };
        let Some(order) = m.one_of(&["row", "col"]) else {
            return Err(invalid("`wmma` needs an order of the matrix, `.row` or `.col`"));
        };
        let space = match m.one_of(&["global", "shared", "shared::cta"]) {
            Some("global") => Space::Global,
            Some(_) => Space::Shared,
            None => Space::Generic,
        };
        let Some(ty) = m.first() else { return Err(invalid("`wmma` has no type")) };
        let row_major = order == "row";
        let no = || invalid(format!("no `wmma` of shape `{name}` moves such a matrix of `.{ty}`"));
        let (bits, registers) = if matrix == Matrix::Sums {
            let sums = Accumulator::from_name(ty).ok_or_else(no)?;
            // Some type of A has this shape and these sums.
            let found =
                WMMA.iter().find(|(types, shapes, _)| shapes.contains(&name) && sums_of(types[0]).contains(&sums));
            self.target_has(i, found.ok_or_else(no)?.2)?;
            (sums.bits(), filled_by_sums(shape, sums))
        } else {
            let a = Multiplicand::from_name(ty).ok_or_else(no)?;
            self.wmma_target(i, a, name)?;
            let lines = if matrix == Matrix::A { shape.m } else { shape.n };
            if a.bits() < 8 && row_major != (matrix == Matrix::A) {
                return Err(invalid("`wmma.load` of this type takes A in `.row` and B in `.col` order"));
            }
            (a.bits(), listed(a, lines, shape.k))
        };
        self.operands(i, 2..=3)?;
        let (value, address) = if loading { (0, 1) } else { (1, 0) };
        let (source, offset, found) = self.address(i, address, space)?;
        let wide = !matches!(source, Src::Reg(r) if self.class_of(r) == Class::Word);
        let fragment = Fragment { matrix, shape, bits, registers, row_major, wide, space: handler_space(found) };
        let stride = match i.operands.len() {
            3 => self.src(i, 2, Type::U32)?,
            _ => self.constant(fragment.default_stride() as u64),
        };
        let members = self.constant(u64::from(u32::MAX));
        let (mut d, mut s) = (Vec::new(), vec![source]);
        if loading {
            d = self.registers(&i.operands[value], value, registers, register(bits))?;
        } else {
            s.extend(self.sources(&i.operands[value], value, registers, register(bits))?);
        }
        s.extend([stride, members]);
        let handlers = if loading { cold::<LoadFragment>() } else { cold::<StoreFragment>() };
        let Ok(offset) = i32::try_from(offset as i64) else {
            return Err(invalid("the offset does not fit 32 bits").at(address));
        };
        self.push(Form::Matrix(handlers), &d, &s, fragment.pack() | u64::from(offset as u32) << 32);
        Ok(())
    }
}
