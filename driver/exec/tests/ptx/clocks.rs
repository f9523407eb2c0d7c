//! `%globaltimer` and `%clock64` tell one time, at the device's clock rate.

use crate::common::{Memory, Shape, launch, program};
use graphproof_exec::CLOCK_KHZ;

/// Spins 20 ms by `%clock64`, reading it around each reading of `%globaltimer`.
const SPIN: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out, .param .u64 clocks)
{
	.reg .pred %p;
	.reg .b32 %low, %high, %t<4>;
	.reg .b64 %out, %want, %c<4>, %g<2>, %now, %gone;
	ld.param.u64 %out, [out];
	ld.param.u64 %want, [clocks];
	mov.u64 %c0, %clock64;
	mov.u64 %g0, %globaltimer;
	mov.u64 %c1, %clock64;
AGAIN:
	mov.u64 %now, %clock64;
	sub.u64 %gone, %now, %c1;
	setp.lt.u64 %p, %gone, %want;
	@%p bra AGAIN;
	mov.u64 %c2, %clock64;
	mov.u64 %g1, %globaltimer;
	mov.u64 %c3, %clock64;
	st.global.u64 [%out], %c0;
	st.global.u64 [%out+8], %c1;
	st.global.u64 [%out+16], %c2;
	st.global.u64 [%out+24], %c3;
	st.global.u64 [%out+32], %g0;
	st.global.u64 [%out+40], %g1;
	ret;
}
";

#[test]
fn a_kernel_told_to_spin_20_ms_spins_20_ms() {
    let mut memory = Memory::new();
    let out = memory.doubles(&[0; 6]);
    let clocks = 20 * u64::from(CLOCK_KHZ);
    let shape = Shape { block: [1, 1, 1], ..Shape::default() };
    if let Err(fault) = launch(&program(SPIN), shape, &memory, &[out, clocks]) {
        panic!("{fault}");
    }
    let words = memory.read_doubles(0);
    let [c0, c1, c2, c3, g0, g1] = words[..] else { panic!("{words:?}") };
    assert!(c0 <= c1 && c1 + clocks <= c2 && c2 <= c3, "{words:?}");
    // Whatever the scheduler did between two readings, the timer was read between the clock's.
    let nanoseconds = |clocks: u64| clocks * 1_000_000 / u64::from(CLOCK_KHZ);
    let told = g1 - g0;
    assert!(nanoseconds(c2 - c1) <= told + 2 && told <= nanoseconds(c3 - c0) + 2, "{words:?}");
    assert!(told + 2 >= 20_000_000, "{words:?}");
    let since = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(g1);
    assert!(since <= std::time::SystemTime::now() + std::time::Duration::from_secs(60), "{words:?}");
}
