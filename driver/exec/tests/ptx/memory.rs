//! Every form of `ld` and `st` against a scalar reference: each space, element type, number of
//! elements and register width; lanes at one place, in a row, near each other or anywhere; all and
//! some lanes active; on every instruction set of the host.

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::{FaultKind, Isa};
use proptest::prelude::*;

const LANES: usize = 32;
/// Bytes that the lanes load from or store to, in each space.
const REGION: usize = 1024;
/// What a register holds before a load, and what a lane leaves there that does not load.
const UNTOUCHED: u64 = 0x1122_3344_5566_7788;

/// Where the addresses point.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Global,
    /// One buffer for even lanes, another for odd ones.
    GlobalApart,
    /// Shared memory by addresses of 32 bits.
    SharedNarrow,
    SharedWide,
    Local,
    /// Generic addresses: global memory for even lanes, shared memory for odd ones.
    Generic,
}

/// An access and the registers it moves.
#[derive(Debug, Clone, Copy)]
struct Form {
    place: Place,
    /// Bytes of an element.
    bytes: usize,
    signed: bool,
    count: usize,
    /// Bits of a register.
    register: usize,
    /// With what does not change an access: `{ }` around one register, a policy for the cache.
    dressed: bool,
}

impl Form {
    fn all() -> Vec<Form> {
        let mut forms = Vec::new();
        use Place::{Generic, Global, GlobalApart, Local, SharedNarrow, SharedWide};
        for place in [Global, GlobalApart, SharedNarrow, SharedWide, Local, Generic] {
            for (bytes, signed) in [(1, false), (1, true), (2, false), (2, true), (4, false), (8, false)] {
                for count in [1, 2, 4].into_iter().filter(|count| count * bytes <= 16) {
                    for register in [16, 32, 64].into_iter().filter(|register| *register >= 8 * bytes) {
                        for dressed in [false, true] {
                            forms.push(Form { place, bytes, signed, count, register, dressed });
                        }
                    }
                }
            }
        }
        for place in [Global, GlobalApart] {
            for (bytes, count) in [(4, 8), (8, 4)] {
                for dressed in [false, true] {
                    forms.push(Form { place, bytes, signed: false, count, register: 8 * bytes, dressed });
                }
            }
        }
        forms
    }

    fn size(self) -> usize {
        self.bytes * self.count
    }

    fn name(self, instruction: &str) -> String {
        let space = match self.place {
            Place::Global | Place::GlobalApart => ".global",
            Place::SharedNarrow | Place::SharedWide => ".shared",
            Place::Local => ".local",
            Place::Generic => "",
        };
        let vector = ["", "", ".v2", "", ".v4", "", "", "", ".v8"][self.count];
        let policy = if self.dressed { ".L2::cache_hint" } else { "" };
        format!("{instruction}{space}{policy}{vector}.{}{}", if self.signed { 's' } else { 'u' }, 8 * self.bytes)
    }

    /// What follows the operands.
    fn policy(self) -> &'static str {
        if self.dressed { ", %rd41" } else { "" }
    }

    fn registers(self) -> Vec<String> {
        let kind = match self.register {
            16 => "rs",
            32 => "r",
            _ => "rd",
        };
        (0..self.count).map(|n| format!("%{kind}{}", 20 + n)).collect()
    }

    fn operands(self) -> String {
        match self.registers().as_slice() {
            [one] if !self.dressed => one.clone(),
            several => format!("{{{}}}", several.join(", ")),
        }
    }

    /// What a register holds after a load of these bytes, as 64 bits.
    fn extended(self, element: &[u8]) -> u64 {
        let mut bytes = [0u8; 8];
        bytes[..self.bytes].copy_from_slice(element);
        let value = u64::from_le_bytes(bytes);
        let shift = 64 - 8 * self.bytes as u32;
        let value = if self.signed { ((value << shift) as i64 >> shift) as u64 } else { value };
        value & mask(self.register)
    }
}

fn mask(bits: usize) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Moves 64 bits between `%rd40` and a register of `bits` bits.
fn narrowed(register: &str, bits: usize) -> String {
    if bits == 64 { format!("mov.b64 {register}, %rd40;\n") } else { format!("cvt.u{bits}.u64 {register}, %rd40;\n") }
}
fn widened(register: &str, bits: usize) -> String {
    if bits == 64 { format!("mov.b64 %rd40, {register};\n") } else { format!("cvt.u64.u{bits} %rd40, {register};\n") }
}

/// A kernel that copies `data` to shared and local memory, then runs `body` with the lane's address in
/// `%rd10` (in `%r10` for narrow ones), whether it takes part in `%p1`, and its cells in `%rd5`.
/// `uniform`: all lanes have the offset of lane 0, and the code says so.
fn kernel(form: Form, uniform: bool, body: &str) -> String {
    let address = match form.place {
        Place::Global => "add.s64 %rd10, %rd2, %rd7;\n",
        Place::GlobalApart => "selp.b64 %rd10, %rd2, %rd14, %p2;\nadd.s64 %rd10, %rd10, %rd7;\n",
        Place::SharedNarrow => "mov.u32 %r10, s;\ncvt.u32.u64 %r11, %rd7;\nadd.u32 %r10, %r10, %r11;\n",
        Place::SharedWide => "mov.u64 %rd10, s;\nadd.s64 %rd10, %rd10, %rd7;\n",
        Place::Local => "mov.u64 %rd10, depot;\nadd.s64 %rd10, %rd10, %rd7;\n",
        Place::Generic => {
            "mov.u64 %rd10, s;\ncvta.shared.u64 %rd10, %rd10;\n\
             selp.b64 %rd10, %rd2, %rd10, %p2;\nadd.s64 %rd10, %rd10, %rd7;\n"
        }
    };
    let index = if uniform { "mov.u64 %rd7, %rd3;\n" } else { "shl.b64 %rd7, %rd4, 3;\nadd.s64 %rd7, %rd3, %rd7;\n" };
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 cells, .param .u64 data, .param .u64 offsets, .param .u64 active, .param .u64 other)\n{{\n\
         .reg .pred %p<8>;\n.reg .b16 %rs<32>;\n.reg .b32 %r<32>;\n.reg .b64 %rd<64>;\n\
         .shared .align 16 .b8 s[{REGION}];\n.local .align 16 .b8 depot[{REGION}];\n\
         mov.u32 %r0, %tid.x;\ncvt.u64.u32 %rd4, %r0;\n\
         ld.param.u64 %rd1, [cells];\nld.param.u64 %rd2, [data];\nld.param.u64 %rd3, [offsets];\nld.param.u64 %rd9, [active];\n\
         ld.param.u64 %rd14, [other];\nand.b32 %r12, %r0, 1;\nsetp.eq.u32 %p2, %r12, 0;\n\
         mul.lo.u64 %rd5, %rd4, {REGION};\nadd.s64 %rd5, %rd1, %rd5;\n\
         mov.u64 %rd6, 0;\nmov.u64 %rd11, s;\nmov.u64 %rd12, depot;\n\
         FILL:\nadd.s64 %rd13, %rd2, %rd6;\nld.global.u32 %r1, [%rd13];\n\
         add.s64 %rd13, %rd11, %rd6;\nst.shared.u32 [%rd13], %r1;\nadd.s64 %rd13, %rd12, %rd6;\nst.local.u32 [%rd13], %r1;\n\
         add.s64 %rd6, %rd6, 4;\nsetp.lt.u64 %p3, %rd6, {REGION};\n@%p3 bra FILL;\nbar.sync 0;\n\
         {index}ld.global.u64 %rd7, [%rd7];\n{address}\
         shr.u64 %rd8, %rd9, %r0;\nand.b64 %rd8, %rd8, 1;\nsetp.ne.u64 %p1, %rd8, 0;\n\
         createpolicy.fractional.L2::evict_first.b64 %rd41, 0f3F000000;\n{body}ret;\n}}\n"
    )
}

fn address(form: Form) -> &'static str {
    if form.place == Place::SharedNarrow { "[%r10]" } else { "[%rd10]" }
}

/// Loads, and keeps the registers in the lane's cells.
fn load_kernel(form: Form, uniform: bool) -> String {
    let mut body = format!("mov.u64 %rd40, {UNTOUCHED};\n");
    for register in form.registers() {
        body += &narrowed(&register, form.register);
    }
    body += &format!("@%p1 {} {}, {}{};\n", form.name("ld"), form.operands(), address(form), form.policy());
    for (n, register) in form.registers().iter().enumerate() {
        body += &widened(register, form.register);
        body += &format!("st.global.u64 [%rd5+{}], %rd40;\n", 8 * n);
    }
    kernel(form, uniform, &body)
}

/// Stores what the lane's cells hold, then copies the region there.
fn store_kernel(form: Form, uniform: bool) -> String {
    let mut body = String::new();
    for (n, register) in form.registers().iter().enumerate() {
        body += &format!("ld.global.u64 %rd40, [%rd5+{}];\n", 8 * n);
        body += &narrowed(register, form.register);
    }
    body +=
        &format!("@%p1 {} {}, {}{};\nbar.sync 0;\n", form.name("st"), address(form), form.operands(), form.policy());
    let (base, load) = match form.place {
        Place::SharedNarrow | Place::SharedWide => ("%rd11", "ld.shared.u32"),
        Place::Local => ("%rd12", "ld.local.u32"),
        Place::Global | Place::GlobalApart | Place::Generic => ("%rd2", "ld.global.u32"),
    };
    // Odd lanes see what odd lanes stored to.
    body += &format!("mov.u64 %rd6, 0;\nKEEP:\nadd.s64 %rd13, {base}, %rd6;\n{load} %r1, [%rd13];\n");
    let odd = match form.place {
        Place::Generic => "add.s64 %rd13, %rd11, %rd6;\nld.shared.u32 %r2, [%rd13];\nselp.b32 %r1, %r1, %r2, %p2;\n",
        Place::GlobalApart => {
            "add.s64 %rd13, %rd14, %rd6;\nld.global.u32 %r2, [%rd13];\nselp.b32 %r1, %r1, %r2, %p2;\n"
        }
        _ => "",
    };
    body += odd;
    body += &format!(
        "add.s64 %rd13, %rd5, %rd6;\nst.global.u32 [%rd13], %r1;\nadd.s64 %rd6, %rd6, 4;\n\
         setp.lt.u64 %p3, %rd6, {REGION};\n@%p3 bra KEEP;\n"
    );
    kernel(form, uniform, &body)
}

/// One case: the region's bytes, what the lanes hold, where they access it, and which do.
#[derive(Debug, Clone)]
struct Case {
    data: Vec<u8>,
    held: Vec<u64>,
    offsets: Vec<u64>,
    uniform: bool,
    active: u32,
}

fn case(form: Form) -> impl Strategy<Value = Case> {
    let places = (REGION / form.size()) as u64;
    let size = form.size() as u64;
    let offsets = prop_oneof![
        // One place, in a register of each lane or the same for all.
        2 => (0..places, any::<bool>()).prop_map(move |(at, uniform)| (vec![at * size; LANES], uniform)),
        1 => (0..=places - LANES as u64)
            .prop_map(move |at| ((0..LANES as u64).map(|lane| (at + lane) * size).collect(), false)),
        // At equal distances, forwards or backwards, perhaps with one lane that stands aside.
        1 => (1..=(places - 1) / (LANES as u64 - 1), any::<bool>(), 0..2 * LANES, 0..places).prop_map(
            move |(step, back, aside, to)| {
                let mut at: Vec<u64> = (0..LANES as u64).map(|lane| lane * step * size).collect();
                if back {
                    at.reverse();
                }
                if let Some(at) = at.get_mut(aside) {
                    *at = to * size;
                }
                (at, false)
            }
        ),
        2 => proptest::collection::vec(0..places, LANES)
            .prop_map(move |at| (at.into_iter().map(|at| at * size).collect(), false)),
    ];
    let data = proptest::collection::vec(any::<u8>(), REGION);
    let held = proptest::collection::vec(any::<u64>(), LANES * 8);
    (data, held, offsets, prop_oneof![Just(u32::MAX), any::<u32>(), Just(1 << 31)])
        .prop_map(|(data, held, (offsets, uniform), active)| Case { data, held, offsets, uniform, active })
}

/// The cells after `text` has run.
fn run(text: &str, isa: Isa, case: &Case, cells: &[u8]) -> Vec<u64> {
    let program = program_for(text, isa);
    let mut memory = Memory::new();
    let values = [
        memory.put(cells),
        memory.put(&case.data),
        memory.doubles(&case.offsets),
        u64::from(case.active),
        memory.put(&case.data),
    ];
    let stats = launch(&program, Shape::default(), &memory, &values);
    assert!(stats.is_ok(), "{isa:?}: {stats:?}\n{text}");
    memory.read_doubles(0)
}

fn check(seen: impl Fn(Form, Isa, &Case) -> (Vec<u64>, Vec<u64>)) {
    for form in Form::all() {
        // Four words have a way of their own.
        let words = form.bytes == 4 && form.count == 4;
        let mut runner = runner(if words {
            24
        } else if form.dressed {
            2
        } else {
            5
        });
        let result = runner.run(&case(form), |case| {
            for isa in Isa::available() {
                let (seen, expected) = seen(form, isa, &case);
                prop_assert!(seen == expected, "{form:?} on {isa:?}");
            }
            Ok(())
        });
        assert!(result.is_ok(), "{form:?}: {result:?}");
    }
}

#[test]
fn a_load_gives_each_active_lane_its_elements_and_leaves_the_others_alone() {
    check(|form, isa, case| {
        let seen = run(&load_kernel(form, case.uniform), isa, case, &[0; LANES * REGION]);
        let mut expected = vec![0u64; LANES * REGION / 8];
        for lane in 0..LANES {
            for n in 0..form.count {
                let at = case.offsets[lane] as usize + n * form.bytes;
                expected[lane * REGION / 8 + n] = if case.active >> lane & 1 != 0 {
                    form.extended(&case.data[at..at + form.bytes])
                } else {
                    UNTOUCHED & mask(form.register)
                };
            }
        }
        (seen, expected)
    });
}

#[test]
fn a_store_writes_what_each_active_lane_holds_the_last_lane_last() {
    check(|form, isa, case| {
        let mut cells = vec![0u8; LANES * REGION];
        for lane in 0..LANES {
            for n in 0..form.count {
                let at = lane * REGION + 8 * n;
                cells[at..at + 8].copy_from_slice(&case.held[lane * 8 + n].to_le_bytes());
            }
        }
        let seen = run(&store_kernel(form, case.uniform), isa, case, &cells);
        // One region a lane, or two, or one.
        let of = |lane: usize| match form.place {
            Place::Local => lane,
            Place::Generic | Place::GlobalApart => lane % 2,
            _ => 0,
        };
        let mut regions = vec![case.data.clone(); LANES];
        for lane in (0..LANES).filter(|lane| case.active >> lane & 1 != 0) {
            for n in 0..form.count {
                let at = case.offsets[lane] as usize + n * form.bytes;
                let bytes = case.held[lane * 8 + n].to_le_bytes();
                regions[of(lane)][at..at + form.bytes].copy_from_slice(&bytes[..form.bytes]);
            }
        }
        let words = |region: &Vec<u8>| -> Vec<u64> {
            region.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
        };
        (seen, (0..LANES).flat_map(|lane| words(&regions[of(lane)])).collect())
    });
}

#[test]
fn one_lane_of_a_full_warp_strays_and_is_told() {
    for place in [Place::Global, Place::SharedNarrow, Place::SharedWide] {
        let form = Form { place, bytes: 4, signed: false, count: 4, register: 32, dressed: false };
        // Beside a multiple of 16, behind the end, before the begin, and right but for the upper half.
        let far = if place == Place::SharedNarrow { REGION as u64 } else { 1 << 32 };
        for (stray, write) in
            [4, REGION as u64, 16u64.wrapping_neg(), far].into_iter().flat_map(|s| [(s, false), (s, true)])
        {
            for (isa, lane) in Isa::available().into_iter().flat_map(|isa| [(isa, 0), (isa, 17), (isa, 31)]) {
                let text = if write { store_kernel(form, false) } else { load_kernel(form, false) };
                let mut offsets: Vec<u64> = (0..LANES as u64).map(|lane| 16 * (lane * 7 % 32)).collect();
                offsets[lane] = stray;
                let mut memory = Memory::new();
                let data = vec![0; REGION];
                let values = [
                    memory.put(&vec![0; LANES * REGION]),
                    memory.put(&data),
                    memory.doubles(&offsets),
                    u64::from(u32::MAX),
                    memory.put(&data),
                ];
                let fault = launch(&program_for(&text, isa), Shape::default(), &memory, &values).expect_err("a fault");
                let what = format!("{form:?} at {stray:#x}, write {write}, on {isa:?}: {fault}");
                assert_eq!(fault.thread, [lane as u32, 0, 0], "{what}");
                match fault.kind {
                    FaultKind::MisalignedAddress { align: 16, write: w, .. } => {
                        assert_eq!((stray, w), (4, write), "{what}");
                    }
                    FaultKind::IllegalAddress { size: 16, write: w, .. } => assert!(stray != 4 && w == write, "{what}"),
                    _ => panic!("{what}"),
                }
            }
        }
    }
}
