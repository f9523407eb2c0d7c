//! Textures and surfaces, against the formulas of the CUDA C++ Programming Guide ("Texture Fetching").

use std::fmt::Write as _;

use crate::common::{Memory, Shape, launch_with_textures, program, runner};
use graphproof_exec::FaultKind;
use graphproof_exec::texture::{Addressing, Channel, Sampler, Texture};
use proptest::prelude::*;

const HANDLE: u64 = 0x1c00_0001_0000_0000;
const CHANNELS: [(&str, Channel); 8] = [
    ("u8", Channel::U8),
    ("u16", Channel::U16),
    ("u32", Channel::U32),
    ("s8", Channel::S8),
    ("s16", Channel::S16),
    ("s32", Channel::S32),
    ("f16", Channel::F16),
    ("f32", Channel::F32),
];

/// Component `k` of a texture, as 32 bits of which the channel takes the low ones: any bits of whole numbers, small
/// fractions of floats.
fn component(channel: Channel, k: u32) -> u32 {
    let mut u = k.wrapping_add(1).wrapping_mul(2_654_435_761);
    u = (u ^ u >> 15).wrapping_mul(2_246_822_519);
    u ^= u >> 13;
    match channel {
        Channel::F32 => (((u >> 8) as f32 - 8_388_608.0) / 1_048_576.0).to_bits(),
        Channel::F16 => u32::from(half::f16::from_f32(((u >> 22) as f32 - 512.0) / 64.0).to_bits()),
        _ => u,
    }
}

/// The value that a component is read as.
fn value(channel: Channel, k: u32, as_float: bool) -> Value {
    let bits = component(channel, k);
    match channel {
        Channel::F32 => Value::Float(f64::from(f32::from_bits(bits))),
        Channel::F16 => Value::Float(f64::from(half::f16::from_bits(bits as u16).to_f32())),
        Channel::U8 if as_float => Value::Float(f64::from(bits as u8) / 255.0),
        Channel::U16 if as_float => Value::Float(f64::from(bits as u16) / 65_535.0),
        Channel::S8 if as_float => Value::Float((f64::from(bits as i8) / 127.0).max(-1.0)),
        Channel::S16 if as_float => Value::Float((f64::from(bits as i16) / 32_767.0).max(-1.0)),
        Channel::U8 => Value::Whole(u32::from(bits as u8)),
        Channel::U16 => Value::Whole(u32::from(bits as u16)),
        Channel::S8 => Value::Whole(i32::from(bits as i8) as u32),
        Channel::S16 => Value::Whole(i32::from(bits as i16) as u32),
        Channel::U32 | Channel::S32 => Value::Whole(bits),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Float(f64),
    Whole(u32),
}

#[derive(Debug, Clone)]
struct Case {
    channel: Channel,
    channels: u32,
    extents: [u32; 3],
    layered: bool,
    sampler: Sampler,
}

impl Case {
    fn dimensions(&self) -> usize {
        if self.extents[1] == 0 {
            1
        } else if self.extents[2] == 0 || self.layered {
            2
        } else {
            3
        }
    }

    fn texture(&self, memory: &mut Memory) -> Texture {
        let [w, h, d] = self.extents.map(|extent| extent.max(1));
        let count = w * h * d * self.channels;
        let size = self.channel.size() as usize;
        let bytes: Vec<u8> =
            (0..count).flat_map(|k| component(self.channel, k).to_le_bytes().into_iter().take(size)).collect();
        memory.put(&bytes);
        let host = memory.map().ranges.last().expect("it was put").host;
        let row = u64::from(w * self.channels) * size as u64;
        Texture {
            handle: HANDLE,
            host,
            address: 0,
            linear: false,
            extents: self.extents,
            layered: self.layered,
            pitch: [row, row * u64::from(h)],
            channel: self.channel,
            channels: self.channels,
            sampler: Some(self.sampler),
        }
    }

    fn floats(&self) -> bool {
        matches!(self.channel, Channel::F16 | Channel::F32) || self.sampler.as_float && self.channel.size() < 4
    }

    /// An element, or the border.
    fn element(&self, at: [Option<u32>; 3]) -> [Value; 4] {
        let floats = self.floats();
        let [Some(x), Some(y), Some(z)] = at else {
            return self.sampler.border.map(|b| {
                let signed = matches!(self.channel, Channel::S8 | Channel::S16 | Channel::S32);
                match (floats, signed) {
                    // The border's colour is one that the format can have.
                    (true, _) if self.channel.is_integer() => {
                        Value::Float(f64::from(b.clamp(if signed { -1.0 } else { 0.0 }, 1.0)))
                    }
                    (true, _) => Value::Float(f64::from(b)),
                    (false, true) => Value::Whole(b as i32 as u32),
                    (false, false) => Value::Whole(b as u32),
                }
            });
        };
        let [w, h, _] = self.extents.map(|extent| extent.max(1));
        let first = ((z * h + y) * w + x) * self.channels;
        std::array::from_fn(|n| match (n, floats) {
            (n, _) if n < self.channels as usize => value(self.channel, first + n as u32, self.sampler.as_float),
            (3, true) => Value::Float(1.0),
            (3, false) => Value::Whole(1),
            (_, true) => Value::Float(0.0),
            (_, false) => Value::Whole(0),
        })
    }

    fn resolved(&self, dimension: usize, mut at: i64) -> Option<u32> {
        let n = i64::from(self.extents[dimension].max(1));
        let mode = self.sampler.addressing[dimension];
        let repeats = matches!(mode, Addressing::Wrap | Addressing::Mirror) && self.sampler.normalised;
        if mode == Addressing::Border {
            return (0..n).contains(&at).then_some(at as u32);
        }
        if !repeats {
            return Some(at.max(0).min(n - 1) as u32);
        }
        if mode == Addressing::Wrap {
            return Some(((at % n + n) % n) as u32);
        }
        at = (at % (2 * n) + 2 * n) % (2 * n);
        Some(at.min(2 * n - 1 - at) as u32)
    }

    /// Elements along a dimension with their weights.
    fn along(&self, dimension: usize, x: f32) -> Vec<(Option<u32>, f64)> {
        let n = self.extents[dimension].max(1) as f32;
        let u = if self.sampler.normalised {
            match self.sampler.addressing[dimension] {
                Addressing::Wrap => (x - x.floor()) * n,
                Addressing::Mirror if x.floor() % 2.0 == 0.0 => (x - x.floor()) * n,
                Addressing::Mirror => (1.0 - (x - x.floor())) * n,
                _ => x * n,
            }
        } else {
            x
        };
        if !self.sampler.linear || !self.floats() {
            return vec![(self.resolved(dimension, u.floor() as i64), 1.0)];
        }
        let steps = (f64::from(u - 0.5) * 256.0).round_ties_even();
        let (first, a) = ((steps / 256.0).floor(), (steps / 256.0) - (steps / 256.0).floor());
        vec![(self.resolved(dimension, first as i64), 1.0 - a), (self.resolved(dimension, first as i64 + 1), a)]
    }

    fn expected(&self, at: [f32; 3], layer: i32) -> [Value; 4] {
        let dimensions = self.dimensions();
        let one = vec![(Some(0), 1.0)];
        let top = if self.layered { layer.clamp(0, self.extents[2] as i32 - 1) } else { 0 };
        let x = self.along(0, at[0]);
        let y = if dimensions > 1 { self.along(1, at[1]) } else { one.clone() };
        let z = if dimensions > 2 { self.along(2, at[2]) } else { vec![(Some(top as u32), 1.0)] };
        if x.len() == 1 {
            return self.element([x[0].0, y[0].0, z[0].0]);
        }
        let mut sum = [0.0; 4];
        for (x, a) in &x {
            for (y, b) in &y {
                for (z, c) in &z {
                    for (sum, value) in sum.iter_mut().zip(self.element([*x, *y, *z])) {
                        let Value::Float(value) = value else { panic!("a whole number is filtered") };
                        *sum += a * b * c * value;
                    }
                }
            }
        }
        sum.map(Value::Float)
    }
}

/// A kernel `k(in, out, object)`: each thread reads four words and writes four.
fn kernel(access: &str) -> String {
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out, .param .u64 object)\n\
         {{\n.reg .b32 %r<16>;\n.reg .f32 %f<4>;\n.reg .b64 %rd<8>;\nld.param.u64 %rd1, [in];\nld.param.u64 %rd2, [out];\n\
         ld.param.u64 %rd3, [object];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %rd4, %r0, 16;\nadd.u64 %rd1, %rd1, %rd4;\n\
         add.u64 %rd2, %rd2, %rd4;\nld.global.v4.u32 {{%r1, %r2, %r3, %r4}}, [%rd1];\nmov.b32 %f1, %r1;\nmov.b32 %f2, %r2;\n\
         mov.b32 %f3, %r3;\nmov.u32 %r5, 0;\nmov.u32 %r6, 0;\nmov.u32 %r7, 0;\nmov.u32 %r8, 0;\n{access}\n\
         st.global.v4.u32 [%rd2], {{%r5, %r6, %r7, %r8}};\nret;\n}}\n"
    )
}

const FOUR: &str = "{%r5, %r6, %r7, %r8}";

/// What a kernel reads by itself, by a short name.
fn access(name: &str) -> String {
    let tex = |geometry: &str, by: &str, at: &str| format!("tex.{geometry}.v4.u32.{by} {FOUR}, [%rd3, {{{at}}}];");
    let gather = |which: &str| format!("tld4.{which}.2d.v4.u32.f32 {FOUR}, [%rd3, {{%f1, %f2}}];");
    let surface = |rest: &str| format!("suld.b.{rest};");
    let ask = |opcode: &str| {
        ["width", "height", "depth", "array_size"].iter().enumerate().fold(String::new(), |mut text, (n, what)| {
            let _ = writeln!(text, "{opcode}.{what}.b32 %r{}, [%rd3];", n + 5);
            text
        })
    };
    match name {
        "t1f" => tex("1d", "f32", "%f1"),
        "t2f" => tex("2d", "f32", "%f1, %f2"),
        "t3f" => tex("3d", "f32", "%f1, %f2, %f3, %f3"),
        "ta1f" => tex("a1d", "f32", "%r4, %f1"),
        "ta2f" => tex("a2d", "f32", "%r4, %f1, %f2, %f2"),
        "t1i" => tex("1d", "s32", "%r1"),
        "t2i" => tex("2d", "s32", "%r1, %r2"),
        "t3i" => tex("3d", "s32", "%r1, %r2, %r3, %r3"),
        "g0" => gather("r"),
        "g1" => gather("g"),
        "g3" => gather("a"),
        "s1z" => surface("1d.b32.zero %r5, [%rd3, {%r1}]"),
        "s1c" => surface("1d.b32.clamp %r5, [%rd3, {%r1}]"),
        "s2z" => surface("2d.b32.zero %r5, [%rd3, {%r1, %r2}]"),
        "s2c" => surface("2d.b32.clamp %r5, [%rd3, {%r1, %r2}]"),
        "s2v" => surface("2d.v2.b32.clamp {%r5, %r6}, [%rd3, {%r1, %r2}]"),
        "s3c" => surface("3d.b32.clamp %r5, [%rd3, {%r1, %r2, %r3, %r3}]"),
        "sa2c" => surface("a2d.b32.clamp %r5, [%rd3, {%r4, %r1, %r2, %r2}]"),
        "sa2z" => surface("a2d.b32.zero %r5, [%rd3, {%r4, %r1, %r2, %r2}]"),
        "qw" => ask("txq"),
        "sq" => ask("suq"),
        other => panic!("there is no access {other}"),
    }
}

/// Runs an access for rows of four words.
fn run(text: &str, texture: Texture, memory: &mut Memory, rows: &[[u32; 4]]) -> Result<Vec<[u32; 4]>, FaultKind> {
    let before = memory.map().ranges.len();
    let values = [memory.words(&rows.concat()), memory.words(&vec![0xdead_beef; 4 * rows.len()]), HANDLE];
    let shape = Shape { block: [rows.len() as u32, 1, 1], ..Shape::default() };
    launch_with_textures(&program(text), shape, memory, &values, &[texture]).map_err(|fault| fault.kind)?;
    Ok(memory.read_words(before + 1).chunks_exact(4).map(|row| [row[0], row[1], row[2], row[3]]).collect())
}

fn near(got: u32, wanted: Value) -> bool {
    match wanted {
        Value::Whole(whole) => got == whole,
        Value::Float(float) => {
            let got = f64::from(f32::from_bits(got));
            (got - float).abs() <= 1e-6 * float.abs().max(1.0)
        }
    }
}

fn addressing() -> impl Strategy<Value = Addressing> {
    prop_oneof![Just(Addressing::Wrap), Just(Addressing::Clamp), Just(Addressing::Mirror), Just(Addressing::Border)]
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1u32..9, 1u32..7, 1u32..5, 0u8..5);
    let sampler = ([addressing(), addressing(), addressing()], any::<[bool; 3]>());
    (0usize..8, 0u32..3, shape, sampler).prop_map(|(channel, channels, (w, h, d, kind), (addressing, flags))| {
        let (extents, layered) = match kind {
            0 => ([w, 0, 0], false),
            1 => ([w, h, 0], false),
            2 => ([w, h, d], false),
            3 => ([w, 0, d], true),
            _ => ([w, h, d], true),
        };
        let [linear, normalised, as_float] = flags;
        let channel = CHANNELS[channel].1;
        let border = [0.25, 1.5, 3.0, 7.0];
        let sampler = Sampler { addressing, linear, normalised, as_float, border };
        Case { channel, channels: 1 << channels, extents, layered, sampler }
    })
}

#[test]
fn textures_are_addressed_filtered_and_read_as_documented() {
    let coordinates = prop::collection::vec(([-2.5f32..3.5, -2.5f32..3.5, -2.5f32..3.5], -2i32..6), 32);
    let result = runner(300).run(&(case(), coordinates), |(case, coordinates)| {
        let name = match (case.layered, case.dimensions()) {
            (true, 1) => "ta1f",
            (true, _) => "ta2f",
            (false, 1) => "t1f",
            (false, 2) => "t2f",
            (false, _) => "t3f",
        };
        let scale = |n: usize| if case.sampler.normalised { 1.0 } else { case.extents[n].max(1) as f32 };
        let at = coordinates.iter().map(|&(at, layer)| (std::array::from_fn(|n| at[n] * scale(n)), layer));
        let at: Vec<([f32; 3], i32)> = at.collect();
        let rows: Vec<[u32; 4]> =
            at.iter().map(|(at, layer)| [at[0].to_bits(), at[1].to_bits(), at[2].to_bits(), *layer as u32]).collect();
        let mut memory = Memory::new();
        let texture = case.texture(&mut memory);
        let got = run(&kernel(&access(name)), texture, &mut memory, &rows).expect("no fault");
        for ((at, layer), got) in at.iter().zip(got) {
            let wanted = case.expected(*at, *layer);
            let same = got.iter().zip(wanted).all(|(&got, wanted)| near(got, wanted));
            prop_assert!(same, "{case:?} at {at:?}, layer {layer}: {got:08x?}, not {wanted:?}");
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn surfaces_are_written_read_and_counted_on() {
    let whole = Sampler {
        addressing: [Addressing::Clamp; 3],
        linear: false,
        normalised: false,
        as_float: false,
        border: [0.0; 4],
    };
    let case = Case { channel: Channel::U32, channels: 2, extents: [5, 3, 0], layered: false, sampler: whole };
    let surface = |memory: &mut Memory| Texture { sampler: None, ..case.texture(memory) };
    // Each thread writes its element and reads its neighbour's, past the end by `.zero` and `.clamp`.
    let rows: Vec<[u32; 4]> = (0..15).map(|n| [n % 5 * 8, n / 5, 100 + n, 200 + n]).collect();
    let write = "sust.b.2d.v2.b32.trap [%rd3, {%r1, %r2}], {%r3, %r4};\nbar.sync 0;\nadd.s32 %r9, %r1, 8;\n";
    for (outside, past) in [("zero", [0; 4]), ("clamp", [104, 204, 109, 209])] {
        let body = format!("{write}suld.b.2d.v2.b32.{outside} {{%r5, %r6}}, [%rd3, {{%r9, %r2}}];");
        let mut memory = Memory::new();
        let texture = surface(&mut memory);
        let got = run(&kernel(&body), texture, &mut memory, &rows).expect("no fault");
        for n in 0..15usize {
            let last = n % 5 == 4;
            let own = [101 + n as u32, 201 + n as u32];
            let wanted = match (last, outside) {
                (false, _) => own,
                (true, "zero") => [past[0], past[1]],
                (true, _) => [100 + n as u32, 200 + n as u32],
            };
            assert_eq!(got[n][..2], wanted, "{outside} {n}");
        }
    }
    // Outside is a fault by `.trap`, as are a foreign object and an object of the other kind.
    let trap = |body: &str, change: fn(Texture) -> Texture| {
        let mut memory = Memory::new();
        let texture = change(surface(&mut memory));
        match run(&kernel(body), texture, &mut memory, &rows[..1]) {
            Err(FaultKind::Misuse(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let outside = "mov.u32 %r9, 4000;\nsuld.b.2d.b32.trap %r5, [%rd3, {%r9, %r2}];";
    assert!(trap(outside, |t| t).contains("outside the surface"));
    assert!(trap("suld.b.2d.b32.trap %r5, [%rd3, {%r1, %r2}];", |t| Texture { handle: 5, ..t }).contains("no texture"));
    assert!(trap(&access("t2f"), |t| t).contains("is a surface object"));
    assert!(trap(&access("s1z"), |t| t).contains("accessed as 1D and is 2D"));
    // All threads add to one element.
    let add = "mov.u32 %r9, 8;\nmov.u32 %r10, 1;\nsured.b.add.2d.u32.trap [%rd3, {%r9, %r10}], %r3;\nbar.sync 0;\n\
               suld.b.2d.b32.trap %r5, [%rd3, {%r9, %r10}];";
    let mut memory = Memory::new();
    let texture = surface(&mut memory);
    let got = run(&kernel(add), texture, &mut memory, &rows).expect("no fault");
    let sum = (0..15).fold(component(Channel::U32, 12), |sum: u32, n| sum.wrapping_add(100 + n));
    assert!(got.iter().all(|row| row[0] == sum), "{got:?}");
}
