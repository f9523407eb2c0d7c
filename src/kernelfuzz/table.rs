//! The instruction table: a row for each family of forms, in the words of the PTX ISA.
//!
//! To have a new form tried, add a row. `{a,b}` stands for either, and may be empty; each way to
//! fill the braces is a form. The operands, destination first, are registers:
//!
//! | word | operand |
//! |---|---|
//! | `T`, `D` | of the last type of the form; of the last but one |
//! | `W` | of twice the width of `T` |
//! | `pred`, `b16`, `u32`, … | of this type |
//! | `pred\|pred`, `b32\|pred` | two destinations |
//! | `!pred` | a predicate source, negated or not |
//! | `nonzero` | a divisor of type `T`: neither 0 nor -1, for which PTX promises nothing |
//! | `byte`, `five`, `three`, `near` | a `.b32` below 256; below 32; below 8; from -32 to 31 |
//! | `lut` | a constant below 256 |
//!
//! `since` is the generation that first draws from the row. A record names its generation, so that
//! rows added later change no kernel that it tells of: new rows get the next number, old rows stay as
//! they are, in their order.

/// A family of forms.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The first generation that has it.
    pub since: u32,
    /// The opcode with its modifiers.
    pub form: &'static str,
    /// Operands, the destination first.
    pub operands: &'static str,
}

const fn row(since: u32, form: &'static str, operands: &'static str) -> Row {
    Row { since, form, operands }
}

/// The newest generation.
pub const GENERATION: u32 = 1;

/// Forms whose bits PTX promises, NaN payloads apart.
pub const EXACT: &[Row] = &[
    // Integers.
    row(1, "{add,sub}.{u16,s16,u32,s32,u64,s64}", "T T T"),
    row(1, "{add,sub}.sat.s32", "T T T"),
    row(1, "mul.{lo,hi}.{u16,s16,u32,s32,u64,s64}", "T T T"),
    row(1, "mul.wide.{u16,s16,u32,s32}", "W T T"),
    row(1, "mad.{lo,hi}.{u16,s16,u32,s32,u64,s64}", "T T T T"),
    row(1, "mad.wide.{u16,s16,u32,s32}", "W T T W"),
    row(1, "mad.hi.sat.s32", "T T T T"),
    row(1, "mul24.{lo,hi}.{u32,s32}", "T T T"),
    row(1, "mad24.{lo,hi}.{u32,s32}", "T T T T"),
    row(1, "sad.{u16,s16,u32,s32,u64,s64}", "T T T T"),
    row(1, "{div,rem}.{u16,s16,u32,s32,u64,s64}", "T T nonzero"),
    row(1, "{abs,neg}.{s16,s32,s64}", "T T"),
    row(1, "{min,max}.{u16,s16,u32,s32,u64,s64}", "T T T"),
    row(1, "dp4a.{u32,s32}.{u32,s32}", "u32 b32 b32 u32"),
    row(1, "dp2a.{lo,hi}.{u32,s32}.{u32,s32}", "u32 b32 b32 u32"),
    // Bits.
    row(1, "{and,or,xor}.{b16,b32,b64}", "T T T"),
    row(1, "{and,or,xor}.pred", "pred pred pred"),
    row(1, "not.pred", "pred pred"),
    row(1, "{not,cnot}.{b16,b32,b64}", "T T"),
    row(1, "shl.{b16,b32,b64}", "T T u32"),
    row(1, "shl.{b16,b32,b64}", "T T five"),
    row(1, "shr.{b16,b32,b64,u16,u32,u64,s16,s32,s64}", "T T u32"),
    row(1, "shr.{b16,b32,b64,u16,u32,u64,s16,s32,s64}", "T T five"),
    row(1, "shf.{l,r}.{clamp,wrap}.b32", "T T T u32"),
    row(1, "shf.{l,r}.{clamp,wrap}.b32", "T T T five"),
    row(1, "lop3.b32", "T T T T lut"),
    row(1, "prmt.b32{,.f4e,.b4e,.rc8,.ecl,.ecr,.rc16}", "b32 b32 b32 b32"),
    row(1, "{popc,clz}.{b32,b64}", "u32 T"),
    row(1, "brev.{b32,b64}", "T T"),
    row(1, "bfind{,.shiftamt}.{u32,s32,u64,s64}", "u32 T"),
    row(1, "bfe.{u32,s32,u64,s64}", "T T byte byte"),
    row(1, "bfe.{u32,s32,u64,s64}", "T T five five"),
    row(1, "bfi.{b32,b64}", "T T T byte byte"),
    row(1, "bfi.{b32,b64}", "T T T five five"),
    row(1, "fns.b32", "T T five near"),
    row(1, "bmsk.{clamp,wrap}.b32", "T T u32"),
    row(1, "bmsk.{clamp,wrap}.b32", "T five five"),
    row(1, "szext.{clamp,wrap}.{u32,s32}", "T T u32"),
    row(1, "szext.{clamp,wrap}.{u32,s32}", "T T five"),
    // Floats. Without `.rn` the compiler may contract, and then no bits are promised.
    row(1, "{add,sub,mul}.{rn,rz,rm,rp}{,.ftz}{,.sat}.f32", "T T T"),
    row(1, "{add,sub,mul}.{rn,rz,rm,rp}.f64", "T T T"),
    row(1, "{fma,mad}.{rn,rz,rm,rp}{,.ftz}{,.sat}.f32", "T T T T"),
    row(1, "{fma,mad}.{rn,rz,rm,rp}.f64", "T T T T"),
    row(1, "div.{rn,rz,rm,rp}{,.ftz}.f32", "T T T"),
    row(1, "div.{rn,rz,rm,rp}.f64", "T T T"),
    row(1, "{rcp,sqrt}.{rn,rz,rm,rp}{,.ftz}.f32", "T T"),
    row(1, "{rcp,sqrt}.{rn,rz,rm,rp}.f64", "T T"),
    row(1, "{abs,neg}{,.ftz}.f32", "T T"),
    row(1, "{abs,neg}.f64", "T T"),
    row(1, "{min,max}{,.ftz}{,.NaN}.f32", "T T T"),
    row(1, "{min,max}.f64", "T T T"),
    row(1, "copysign.{f32,f64}", "T T T"),
    row(1, "testp.{finite,infinite,number,notanumber,normal,subnormal}.{f32,f64}", "pred T"),
    // Halves.
    row(1, "{add,sub,mul}.rn{,.ftz}{,.sat}.{f16,f16x2}", "T T T"),
    row(1, "fma.rn{,.ftz}{,.sat,.relu}.{f16,f16x2}", "T T T T"),
    row(1, "fma.rn{,.relu}.{bf16,bf16x2}", "T T T T"),
    row(1, "{abs,neg}{,.ftz}.{f16,f16x2}", "T T"),
    row(1, "{abs,neg}.{bf16,bf16x2}", "T T"),
    row(1, "{min,max}{,.ftz}{,.NaN}.{f16,f16x2}", "T T T"),
    row(1, "{min,max}{,.NaN}.{bf16,bf16x2}", "T T T"),
    // Comparison and selection.
    row(1, "setp.{eq,ne}.{b16,b32,b64}", "pred T T"),
    row(1, "setp.{eq,ne,lt,le,gt,ge}.{s16,s32,s64,u16,u32,u64}", "pred T T"),
    row(1, "setp.{lo,ls,hi,hs}.{u16,u32,u64}", "pred|pred T T"),
    row(1, "setp.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}{,.ftz}.f32", "pred T T"),
    row(1, "setp.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}.f64", "pred T T"),
    row(1, "setp.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}{,.ftz}.f16", "pred T T"),
    row(1, "setp.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}{,.ftz}.f16x2", "pred|pred T T"),
    row(1, "setp.{eq,lt,ge}.{and,or,xor}.{s16,s32,s64,u16,u32,u64,f32,f64}", "pred|pred T T !pred"),
    row(1, "setp.{ne,le,gt}.{and,or,xor}.{s32,u32,f32}", "pred T T !pred"),
    row(1, "set.{eq,ne,lt,le,gt,ge}.{u32,s32,f32}.{s16,s32,s64,u16,u32,u64}", "D T T"),
    row(1, "set.{eq,ne,lt,ge,equ,ltu,gtu,num,nan}{,.ftz}.{u32,s32,f32}.f32", "D T T"),
    row(1, "set.{eq,ne,lt,ge,equ,ltu,gtu,num,nan}.{u32,s32,f32}.f64", "D T T"),
    row(1, "set.{eq,lt}.{and,or,xor}.{u32,f32}.{s32,u64,f32}", "D T T !pred"),
    row(1, "selp.{b16,u16,s16,b32,u32,s32,f32,b64,u64,s64,f64}", "T T T pred"),
    row(1, "slct.{b16,b32,u32,f32,b64,f64}.s32", "D D D T"),
    row(1, "slct{,.ftz}.{b16,b32,u32,f32,b64,f64}.f32", "D D D T"),
    row(1, "mov.{b16,u16,s16,b32,u32,s32,f32,b64,u64,s64,f64}", "T T"),
    // Conversions.
    row(1, "cvt.{u8,s8,u16,s16,u32,s32,u64,s64}.{u8,s8,u16,s16,u32,s32,u64,s64}", "D T"),
    row(1, "cvt.sat.u8.{s8,u16,s16,u32,s32,u64,s64}", "D T"),
    row(1, "cvt.sat.s8.{u8,u16,s16,u32,s32,u64,s64}", "D T"),
    row(1, "cvt.sat.u16.{s8,s16,u32,s32,u64,s64}", "D T"),
    row(1, "cvt.sat.s16.{u16,u32,s32,u64,s64}", "D T"),
    row(1, "cvt.sat.u32.{s8,s16,s32,u64,s64}", "D T"),
    row(1, "cvt.sat.s32.{u32,u64,s64}", "D T"),
    row(1, "cvt.sat.u64.{s8,s16,s32,s64}", "D T"),
    row(1, "cvt.sat.s64.u64", "D T"),
    row(1, "cvt.{rn,rz,rm,rp}{,.sat}.{f16,f32,f64}.{u8,s8,u16,s16,u32,s32,u64,s64}", "D T"),
    row(1, "cvt.{rni,rzi,rmi,rpi}{,.sat}.{u8,s8,u16,s16,u32,s32,u64,s64}.{f16,f64}", "D T"),
    row(1, "cvt.{rni,rzi,rmi,rpi}{,.ftz}{,.sat}.{u8,s8,u16,s16,u32,s32,u64,s64}.f32", "D T"),
    row(1, "cvt.{rn,rz,rm,rp}{,.ftz}{,.sat}.f32.f64", "D T"),
    row(1, "cvt{,.ftz}{,.sat}.f64.f32", "D T"),
    row(1, "cvt.{rn,rz,rm,rp}{,.ftz}{,.sat}.f16.f32", "D T"),
    row(1, "cvt.{rn,rz,rm,rp}{,.sat}.f16.f64", "D T"),
    row(1, "cvt{,.ftz}{,.sat}.f32.f16", "D T"),
    row(1, "cvt{,.sat}.f64.f16", "D T"),
    row(1, "cvt.{rni,rzi,rmi,rpi}{,.ftz}{,.sat}.f32.f32", "D T"),
    row(1, "cvt.{rni,rzi,rmi,rpi}{,.sat}.{f16.f16,f64.f64}", "D T"),
    row(1, "cvt{,.ftz}{,.sat}.f32.f32", "D T"),
    row(1, "cvt.{rn,rz}{,.relu}.{bf16,f16}.f32", "D T"),
    row(1, "cvt.{rn,rz}{,.relu}.{bf16x2,f16x2}.f32", "D T T"),
    row(1, "cvt.rna.tf32.f32", "f32 T"),
    row(1, "cvt.pack.sat.{u16,s16}.s32", "b32 T T"),
    row(1, "cvt.pack.sat.{u8,s8}.s32.b32", "b32 s32 s32 T"),
    row(1, "mad24.hi.sat.s32", "T T T T"),
    row(1, "lop3.{or,and}.b32", "b32|pred T T T lut !pred"),
    row(1, "set.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}{,.ftz}.{f16,u16,s16,u32,s32}.f16", "D T T"),
    row(1, "set.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}{,.ftz}.{f16x2,u32,s32}.f16x2", "D T T"),
    // Video.
    row(1, "v{add,sub,absdiff,min,max}.{u32,s32}.{u32,s32}.{u32,s32}{,.sat}", "b32 b32 b32"),
    row(1, "v{add,sub,absdiff,min,max}.{u32,s32}.{u32,s32}.{u32,s32}{,.sat}.{add,min,max}", "b32 b32 b32 b32"),
    row(1, "v{shl,shr}.{u32,s32}.{u32,s32}.u32{,.sat}.{clamp,wrap}", "b32 b32 b32"),
    row(1, "vmad.{u32.u32.u32,s32.s32.s32,s32.u32.s32}{,.sat}{,.shr7,.shr15}", "b32 b32 b32 b32"),
    row(1, "vset.{u32,s32}.{u32,s32}.{eq,ne,lt,le,gt,ge}", "b32 b32 b32"),
    row(1, "v{add,sub,absdiff,min,max,avrg}{2,4}.{u32,s32}.{u32,s32}.{u32,s32}{,.sat,.add}", "b32 b32 b32 b32"),
    row(1, "vset{2,4}.{u32,s32}.{u32,s32}.{eq,ne,lt,le,gt,ge}{,.add}", "b32 b32 b32 b32"),
];

/// Forms whose bits PTX does not promise: compared by their distance, not by their bits.
pub const APPROXIMATE: &[Row] = &[
    row(1, "ex2.approx{,.ftz}.f32", "T T"),
    row(1, "lg2.approx{,.ftz}.f32", "T T"),
    row(1, "{sin,cos}.approx{,.ftz}.f32", "T T"),
    row(1, "{rcp,sqrt,rsqrt}.approx{,.ftz}.f32", "T T"),
    row(1, "tanh.approx.f32", "T T"),
    row(1, "div.{approx,full}{,.ftz}.f32", "T T T"),
    row(1, "rsqrt.approx.f64", "T T"),
    row(1, "{rcp,rsqrt}.approx.ftz.f64", "T T"),
    row(1, "{ex2,tanh}.approx.{f16,f16x2}", "T T"),
];
