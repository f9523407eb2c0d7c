//! Single forms of instructions, one a module: what is executed and what is refused, with the reason.
//!
//! The forms are those that public kernels and a probe of the ISA came with; what they do is tested
//! beside the instructions of their kind.

use graphproof_exec::{Program, PtxErrorKind};

/// A form, and a part of the reason for which it is refused, if it is.
type Row = (&'static str, Option<&'static str>);

#[rustfmt::skip]
const FORMS: [Row; 184] = [
    ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {f0,f1,f2,f3},{r0,r1,r2,r3},{r4,r5},{f0,f1,f2,f3};", None),
    ("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {f0,f1,f2,f3},{r0,r1},{r4},{f0,f1,f2,f3};", None),
    ("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {r8,r9},{r0,r1,r2,r3},{r4,r5},{r6,r7};", None),
    ("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {f0,f1,f2,f3},{r0,r1,r2,r3},{r4,r5},{f0,f1,f2,f3};", None),
    ("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {f0,f1,f2,f3},{r0,r1},{r4},{f0,f1,f2,f3};", None),
    ("cvt.rna.tf32.f32 r3,f0;", None),
    ("cvt.rn.bf16x2.f32 r3,f0,f1;", None),
    ("cvt.rn.relu.f16x2.f32 r3,f0,f1;", None),
    ("cvt.rn.bf16.f16 h1,h2;", None),
    ("ld.global.L1::no_allocate.L2::128B.v4.b32 {r0,r1,r2,r3},[d1];", None),
    ("ld.global.v2.b32 {r3,_},[d1];", None),
    ("ld.global.v4.b8 {h1,h2,h3,h4},[d1];", None),
    ("ld.shared.v4.f32 {f0,f1,f2,f3},[r1+16];", None),
    ("ld.volatile.shared.u32 r3,[r1];", None),
    ("ld.acquire.gpu.global.b32 r3,[d1];", None),
    ("st.release.sys.global.b32 [d1],r3;", None),
    ("red.global.add.noftz.f16x2 [d1],r3;", None),
    ("red.global.add.noftz.bf16x2 [d1],r3;", None),
    ("atom.global.add.noftz.bf16 h1,[d1],h2;", None),
    ("atom.global.cas.b16 h1,[d1],h2,h3;", None),
    ("atom.add.release.gpu.u32 r3,[d1],r4;", None),
    ("prefetch.global.L2::evict_last [d1];", None),
    ("prefetch.global.L1 [d1];", None),
    ("prefetch.tensormap [d1];", None),
    ("discard.global.L2 [d1],128;", None),
    ("cp.async.ca.shared.global [r1],[d1],16,8;", None),
    ("elect.sync r3|p1,0xffffffff;", None),
    ("stmatrix.sync.aligned.m8n8.x4.shared.b16 [r1],{r3,r4,r5,r6};", None),
    ("stmatrix.sync.aligned.x2.m8n8.shared.b16 [d1],{r3,r4};", None),
    ("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [r1],{r3,r4,r5,r6};", None),
    ("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {r3,r4,r5,r6},[r1];", None),
    ("fence.proxy.async;", None),
    ("fence.proxy.async.shared::cta;", None),
    ("fence.mbarrier_init.release.cluster;", None),
    ("barrier.sync 1,64;", None),
    ("barrier.cta.sync 1;", None),
    ("redux.sync.add.s32 r3,r4,0xffffffff;", None),
    ("match.any.sync.b32 r3,r4,0xffffffff;", None),
    ("tanh.approx.f16x2 r3,r4;", None),
    ("tanh.approx.bf16x2 r3,r4;", None),
    ("ex2.approx.f16x2 r3,r4;", None),
    ("ex2.approx.ftz.bf16x2 r3,r4;", None),
    ("max.NaN.f16x2 r3,r4,r5;", None),
    ("fma.rn.relu.bf16x2 r3,r4,r5,r6;", None),
    ("fma.rn.f16x2 r3,r4,r5,r6;", None),
    ("add.rn.bf16x2 r3,r4,r5;", None),
    ("set.eq.f32.f32 f0,f1,f2;", None),
    ("setp.lt.f16x2 p1|p2,r3,r4;", None),
    ("setp.lt.bf16 p1,h1,h2;", None),
    ("dp4a.s32.s32 r3,r4,r5,r6;", None),
    ("dp2a.lo.s32.s32 r3,r4,r5,r6;", None),
    ("lop3.b32 r3,r4,r5,r6,0x96;", None),
    ("bfind.shiftamt.u32 r3,r4;", None),
    ("shf.l.wrap.b32 r3,r4,r5,r6;", None),
    ("prmt.b32.f4e r3,r4,r5,r6;", None),
    ("mul24.lo.s32 r3,r4,r5;", None),
    ("nanosleep.u32 100;", None),
    ("mov.u32 r3,%globaltimer_lo;", None),
    ("mov.u32 r3,%clock;", None),
    ("mov.u64 d2,%globaltimer;", None),
    ("mov.u32 r3,%smid;", None),
    ("mov.u32 r3,%clusterid.x;", None),
    ("bar.red.popc.u32 r3,0,p1;", None),
    ("testp.finite.f32 p1,f0;", None),
    ("activemask.b32 r3;", None),
    ("szext.wrap.s32 r3,r4,r5;", None),
    ("applypriority.global.L2::evict_normal [d1],128;", None),
    ("neg.f16x2 r3,r4;", None),
    ("abs.bf16x2 r3,r4;", None),
    ("rsqrt.approx.ftz.f64 g0,g1;", None),
    ("div.full.f32 f0,f1,f2;", None),
    ("copysign.f32 f0,f1,f2;", None),
    ("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {f0,f1,f2,f3},{r0,r1,r2,r3},{r4,r5},{f0,f1,f2,f3};", None),
    ("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {f0,f1,f2,f3},{r0,r1},{r4},{f0,f1,f2,f3};", None),
    ("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {r8,r9,r10,r11},{r0,r1,r2,r3},{r4,r5},{r8,r9,r10,r11};", None),
    ("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {r8,r9,r10,r11},{r0,r1},{r4},{r8,r9,r10,r11};", None),
    ("mma.sync.aligned.m16n8k32.row.col.satfinite.s32.u8.u8.s32 {r8,r9,r10,r11},{r0,r1,r2,r3},{r4,r5},{r8,r9,r10,r11};", None),
    ("mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 {r8,r9,r10,r11},{r0,r1,r2,r3},{r4,r5},{r8,r9,r10,r11};", None),
    ("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {r8,r9},{r0},{r4},{r8,r9};", None),
    ("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {g0,g1},{g2},{g3},{g4,g5};", None),
    ("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {r8,r9,r10,r11},{r0,r1,r2,r3},{r4,r5},{r8,r9,r10,r11};", None),
    ("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {f0,f1,f2,f3},{r0,r1,r2,r3},{r4,r5},{f0,f1,f2,f3};", None),
    ("mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {f0,f1,f2,f3},{r0,r1,r2,r3},{r4,r5,r6,r7},{f0,f1,f2,f3},r8,0;", None),
    ("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {f0,f1,f2,f3,f4,f5,f6,f7},{r0,r1},{r4,r5},{f0,f1,f2,f3,f4,f5,f6,f7};", None),
    ("wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {r0,r1,r2,r3,r4,r5,r6,r7},[r1];", None),
    ("cvt.rn.satfinite.e4m3x2.f32 h1,f0,f1;", None),
    ("cvt.rn.f16x2.e4m3x2 r3,h1;", None),
    ("cvt.rn.f16x2.e5m2x2 r3,h1;", None),
    ("cvt.pack.sat.s8.s32.b32 r3,r4,r5,r6;", None),
    ("ld.global.v8.b32 {r0,r1,r2,r3,r4,r5,r6,r7},[d1];", None),
    ("ld.global.v4.b64 {d4,d5,d6,d7},[d1];", None),
    ("ld.global.L2::cache_hint.b32 r3,[d1],d2;", None),
    ("ld.global.nc.L1::evict_last.L2::cache_hint.v4.b32 {r0,r1,r2,r3},[d1],d2;", None),
    ("st.global.L2::cache_hint.b32 [d1],r3,d2;", None),
    ("ld.global.b32 {r3},[d1];", None),
    ("st.global.b32 [d1],{r3};", None),
    ("atom.global.add.v2.f32 {f0,f1},[d1],{f2,f3};", None),
    ("red.global.add.v4.f32 [d1],{f0,f1,f2,f3};", None),
    ("atom.global.min.f32 f0,[d1],f1;", None),
    ("atom.global.exch.b128 d4,[d1],d6;", Some("`d4` is `.b64`, which does not fit `.b128`")),
    ("atom.global.exch.b128 q1,[d1],q2;", None),
    ("atom.global.add.L2::cache_hint.u32 r3,[d1],r4,d2;", None),
    ("createpolicy.fractional.L2::evict_last.b64 d2,1.0;", None),
    ("cp.async.cg.shared.global.L2::cache_hint [r1],[d1],16,d2;", None),
    ("cp.async.cg.shared.global [r1],[d1],16,p1;", None),
    ("cp.async.mbarrier.arrive.noinc.shared.b64 [r1];", None),
    ("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [r1],[d1],16,[r2];", None),
    ("cp.async.bulk.global.shared::cta.bulk_group [d1],[r1],16;", None),
    ("cp.async.bulk.commit_group;", None),
    ("cp.async.bulk.wait_group.read 0;", None),
    ("mbarrier.init.shared.b64 [r1],32;", None),
    ("mbarrier.arrive.shared.b64 d2,[r1];", None),
    ("mbarrier.test_wait.shared.b64 p1,[r1],d2;", None),
    ("fence.proxy.tensormap::generic.acquire.gpu [d1],128;", None),
    ("griddepcontrol.wait;", None),
    ("griddepcontrol.launch_dependents;", None),
    ("setmaxnreg.inc.sync.aligned.u32 232;", None),
    ("barrier.cluster.arrive.aligned;", None),
    ("mapa.shared::cluster.u32 r3,r1,r2;", None),
    ("getctarank.shared::cluster.u32 r3,r1;", None),
    ("ld.shared::cluster.u32 r3,[r1];", None),
    ("st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [r1],r3,[r2];", None),
    ("max.xorsign.abs.f32 f0,f1,f2;", None),
    ("set.eq.f16.f16 h1,h2,h3;", None),
    ("set.gt.f16x2.f16x2 r3,r4,r5;", None),
    ("set.gt.u32.f16x2 r3,r4,r5;", None),
    ("vabsdiff4.u32.u32.u32.add r3,r4,r5,r6;", None),
    ("vadd2.u32.u32.u32.sat r3,r4,r5,r6;", None),
    ("lop3.or.b32 r3|p1,r4,r5,r6,0x96,p2;", None),
    ("mov.u32 r3,%envreg1;", None),
    ("mov.u32 r3,%reserved_smem_offset_1;", None),
    ("mov.u32 r3,%pm0;", None),
    ("mov.b128 d2,{d3,d4};", Some("`d2` is `.b64`, which does not fit `.b128`")),
    ("mov.b128 q1,{d3,d4};", None),
    ("isspacep.shared::cluster p1,d1;", None),
    ("call.uni (r3),vprintf,(d1,d2);", None),
    ("multimem.red.global.add.f32 [d1],f0;", Some("instruction `multimem` is not executed")),
    ("cvt.f32.tf32 f0,r3;", Some("`cvt.f32.tf32` is not executed")),
    ("alloca.u64 d2,16;", None),
    ("tex.2d.v4.f32.s32 {f0,f1,f2,f3},[d1,{r1,r2}];", Some("a texture or a surface")),
    ("suld.b.2d.b32.trap r3,[d1,{r1,r2}];", Some("a texture or a surface")),
    ("ld.global.b128 q1,[d1];", None),
    ("st.shared.b128 [r1],q1;", None),
    ("mov.b128 {d3,d4},q1;", None),
    ("atom.shared.cas.b128 q1,[r1],q2,q3;", None),
    ("atom.global.add.noftz.v4.f16x2 {r0,r1,r2,r3},[d1],{r4,r5,r6,r7};", None),
    ("red.global.max.noftz.v8.bf16 [d1],{h1,h2,h3,h4,h1,h2,h3,h4};", None),
    ("atom.global.add.u32 {r3},[d1],{r4};", None),
    ("atom.shared.cas.b32 {r3},[r1],{r4},r5;", None),
    ("ld.shared::cta.u32 r3,[r1];", None),
    ("ld.global.L2::evict_last.b32 r3,[d1];", None),
    ("createpolicy.range.global.L2::evict_last.L2::evict_first.b64 d2,[d1],0x1000,0x2000;", None),
    ("createpolicy.cvt.L2.b64 d2,d3;", None),
    ("cp.async.ca.shared::cta.global.L2::cache_hint.L2::128B [r1],[d1],8,r2,d2;", None),
    ("cp.async.cg.shared.global.L2::cache_hint [r1],[d1],16,!p1,d2;", None),
    ("mbarrier.init.shared::cta.b64 [r1],1;", None),
    ("mbarrier.inval.shared.b64 [r1];", None),
    ("mbarrier.arrive.noComplete.shared.b64 d2,[r1],3;", None),
    ("mbarrier.arrive.b64 _,[d1];", None),
    ("mbarrier.arrive_drop.release.cta.shared.b64 d2,[r1];", None),
    ("mbarrier.arrive.expect_tx.shared::cta.b64 _,[r1],r2;", None),
    ("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [r1],r2;", None),
    ("mbarrier.complete_tx.shared::cta.b64 [r1],r2;", None),
    ("mbarrier.try_wait.parity.shared::cta.b64 p1,[r1],r2,r3;", None),
    ("mbarrier.test_wait.parity.acquire.cta.shared.b64 p1,[r1],r2;", None),
    ("mbarrier.pending_count.b64 r3,d2;", None),
    ("mbarrier.arrive.shared::cluster.b64 _,[r1];", None),
    ("cp.async.mbarrier.arrive.shared::cta.b64 [r1];", None),
    ("isspacep.const p1,d1;", None),
    ("isspacep.param p1,d1;", None),
    ("mov.u64 d2,%pm3_64;", None),
    ("mov.u32 r3,%envreg2;", None),
    ("mov.u32 r3,%reserved_smem_offset_begin;", None),
    ("mov.u32 r3,%reserved_smem_offset_cap;", None),
    ("stacksave.u64 d2;", None),
    ("stackrestore.u64 d2;", None),
    ("alloca.u64 d2,d3,64;", None),
    ("fence.acq_rel.cluster;", None),
    ("fence.proxy.tensormap::generic.release.gpu;", None),
    ("fence.acquire.sync_restrict::shared::cluster.cluster;", None),
    ("membar.sys;", None),
    ("mov.u64 d2,device;", None),
    ("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [r1],r3,[r2];", None),
    ("ldu.global.v2.u64 {d2,d3},[d1];", None),
];

fn module(form: &str) -> String {
    format!(
        ".version 8.8\n.target sm_90a\n.address_size 64\n\
         .extern .func (.reg .b32 printed) vprintf (.reg .b64 format, .reg .b64 arguments);\n\
         .func device() {{ ret; }}\n\
         .visible .entry k() {{\n.reg .pred p<4>;\n.reg .b16 h<8>;\n.reg .b32 r<16>;\n.reg .f32 f<16>;\n\
         .reg .b64 d<16>;\n.reg .f64 g<16>;\n.reg .b128 q<4>;\n.shared .align 16 .b8 s[1024];\n{form}\nret;\n}}\n"
    )
}

#[test]
fn each_form_is_executed_or_refused_with_its_reason() {
    let mut wrong = Vec::new();
    for (form, reason) in FORMS {
        let program = match Program::load(&module(form)) {
            Ok(program) => program,
            Err(error) => {
                wrong.push(format!("{form}: the text is refused: {}", error.brief()));
                continue;
            }
        };
        match (program.entries[0].kernel(), reason) {
            (Ok(_), None) => {}
            (Err(error), Some(reason)) if error.message.contains(reason) => {
                // What is no PTX says so; the others that they have no model.
                let wrong_types = error.message.contains("does not fit") || error.message.contains("operands here");
                if (error.kind == PtxErrorKind::Unsupported) == wrong_types {
                    wrong.push(format!("{form}: {}", error.brief()));
                }
            }
            (Ok(_), Some(reason)) => wrong.push(format!("{form}: executed, and not refused for `{reason}`")),
            (Err(error), _) => wrong.push(format!("{form}: {}", error.brief())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
