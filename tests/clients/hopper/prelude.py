"""The text before kernels.cu: PTX as functions, and `wgmma` of 64 x 64."""

HEAD = r"""
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef unsigned long size_t;
struct alignas(64) Map { u64 words[16]; };
#define DEV static __device__ __forceinline__
DEV u32 address(const void *p) { return (u32)__cvta_generic_to_shared(p); }
DEV void init(u32 bar, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory"); }
DEV void expect(u32 bar, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}
DEV void arrive(u32 bar) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory"); }
DEV void wait(u32 bar, u32 parity) {
    asm volatile("{\n.reg .pred done;\nWAIT:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra WAIT;\n}"
                 ::"r"(bar), "r"(parity) : "memory");
}
DEV void fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
DEV void fence_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEV void bulk_load(u32 to, const void *from, u32 bytes, u32 bar) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from),
                 "r"(bytes), "r"(bar) : "memory");
}
DEV void bulk_store(void *to, u32 from, u32 bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from), "r"(bytes) : "memory");
}
DEV void commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int N> DEV void wait_read() { asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory"); }
DEV void wait_all_stores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }
DEV u32 elected() {
    u32 p;
    asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(p));
    return p;
}
DEV u32 cluster_rank() { u32 r; asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r; }
DEV u32 cluster_size() { u32 r; asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(r)); return r; }
DEV void meet_cluster() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
DEV u32 remote(u32 at, u32 rank) { u32 r; asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(at), "r"(rank)); return r; }
DEV float read_remote(u32 at) { float r; asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(r) : "r"(at)); return r; }
DEV u32 pack_bf16(float low, float high) { u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low)); return r; }
DEV void product_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// A value stays on its side of a fence: the compiler moves what is no access to memory past it.
DEV void keep(float &x) { asm volatile("" : "+f"(x)::"memory"); }
DEV void product_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> DEV void product_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }
"""


def product(name, types, depth, sums="float", registers=False, tail=""):
    """A function `name(d, a, b, adds)`: wgmma.mma_async of 64 x 64."""
    letter = "f" if sums == "float" else "r"
    d = ", ".join(f"%{n}" for n in range(32))
    a = "{%32, %33, %34, %35}" if registers else "%32"
    b, adds = ("%36", "%37") if registers else ("%33", "%34")
    given = '"r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3])' if registers else '"l"(a)'
    outputs = ", ".join(f'"+{letter}"(d[{n}])' for n in range(32))
    of_a = "const u32 (&a)[4]" if registers else "u64 a"
    return (
        f"DEV void {name}({sums} (&d)[32], {of_a}, u64 b, u32 adds) {{\n"
        f'    asm volatile("{{\\n.reg .pred p;\\nsetp.ne.b32 p, {adds}, 0;\\n'
        f'wgmma.mma_async.sync.aligned.m64n64k{depth}.{types} {{{d}}}, {a}, {b}, p{tail};\\n}}"\n'
        f'                 : {outputs} : {given}, "l"(b), "r"(adds));\n}}\n'
    )


def text(kernels):
    """The whole source."""
    products = [
        product("product_bf16", "f32.bf16.bf16", 16, tail=", 1, 1, 0, 0"),
        product("product_f16_t", "f32.f16.f16", 16, tail=", 1, 1, 0, 1"),
        product("product_tf32", "f32.tf32.tf32", 8, tail=", 1, 1"),
        product("product_fp8", "f32.e4m3.e4m3", 32, tail=", 1, 1"),
        product("product_s8", "s32.s8.s8", 32, sums="int"),
        product("product_f16_r", "f32.f16.f16", 16, registers=True, tail=", 1, 1, 0"),
        product("product_bf16_rt", "f32.bf16.bf16", 16, registers=True, tail=", 1, 1, 1"),
    ]
    return HEAD + "\n".join(products) + kernels
