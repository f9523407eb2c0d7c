//! Memory, events and pools between two processes: the second one is this program again, in [`other`].

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::abi_support::{Gate, INVALID, primary};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

const ROLE: &str = "GRAPHPROOF_TEST_OTHER_PROCESS";
const LEN: usize = 2 << 20;
const FLAGS: u32 = 2 | 4;
const LAZY: u32 = 1;

/// The other process, which is told lines and answers lines.
struct Other {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Other {
    fn start(role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.args(["--exact", "ipc::other", "--nocapture"]).env(ROLE, role);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a second process");
        let (to, from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, to, from: BufReader::new(from) }
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.to, "{what}").expect("the other process listens");
    }

    /// Its next answer; what the test harness prints there is none.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.from.read_line(&mut line).expect("lines"), 0, "the other process has ended");
            if let Some((_, answer)) = line.split_once("> ") {
                return answer.trim().to_owned();
            }
        }
    }

    fn end(mut self) {
        drop(self.to);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.from, &mut rest).expect("its last lines");
        assert!(self.child.wait().expect("it ends").success(), "{rest}");
    }
}

fn say(what: impl std::fmt::Display) {
    println!("> {what}");
}

fn listen() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> [u8; 64] {
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal"))
}

fn word(at: CUdeviceptr) -> u32 {
    let mut word = 0u32;
    ok!(cuMemcpyDtoH_v2((&raw mut word) as u64, at, 4));
    word
}

/// Fills whole allocations of [`LEN`] bytes, and waits.
fn fill(at: CUdeviceptr, value: u32) {
    ok!(cuMemsetD32_v2(at, value, LEN / 4));
    ok!(cuCtxSynchronize());
}

/// A descriptor that a child inherits.
fn inherited(descriptor: i32) -> i32 {
    // SAFETY: a descriptor of this test.
    assert_eq!(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }, 0);
    descriptor
}

fn close(descriptor: i32) {
    // SAFETY: a descriptor of this test.
    unsafe { libc::close(descriptor) };
}

fn map(handle: u64) -> CUdeviceptr {
    let mut base = 0;
    ok!(cuMemAddressReserve(&mut base, LEN, 0, 0, 0));
    ok!(cuMemMap(base, LEN, 0, handle, 0));
    let access = CUmemAccessDesc { location: CUmemLocation { type_: 1, id: 0 }, flags: 3 };
    ok!(cuMemSetAccess(base, LEN, &access, 1));
    base
}

#[test]
fn memory_is_one_in_both_processes() {
    let _own = primary();
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, LEN));
    fill(address, 7);
    let mut handle = CUipcMemHandle { reserved: [0; 64] };
    assert_eq!(code!(cuIpcGetMemHandle(&mut handle, address + 4)), INVALID, "the first address alone");
    ok!(cuIpcGetMemHandle(&mut handle, address));
    let mut again = handle;
    ok!(cuIpcGetMemHandle(&mut again, address));
    assert_eq!(handle, again);
    let mut here = 0;
    assert_eq!(code!(cuIpcOpenMemHandle_v2(&mut here, handle, LAZY)), CUresult::INVALID_CONTEXT);
    assert_eq!(code!(cuIpcOpenMemHandle_v2(&mut here, handle, 0)), INVALID);
    let nothing = CUipcMemHandle { reserved: [0; 64] };
    assert_eq!(code!(cuIpcOpenMemHandle_v2(&mut here, nothing, LAZY)), INVALID);
    assert_eq!(code!(cuIpcCloseMemHandle(address)), INVALID);
    let mut other = Other::start("memory");
    other.tell(&hex(&handle.reserved));
    assert_eq!(other.hear(), "7");
    fill(address, 8);
    other.tell("read");
    assert_eq!(other.hear(), "8");
    assert_eq!(word(address + LEN as u64 - 4), 9, "what the other process wrote");
    other.end();
    ok!(cuMemFree_v2(address));
    // What is freed can be opened no more.
    let mut other = Other::start("gone");
    other.tell(&hex(&handle.reserved));
    assert_eq!(other.hear(), "CUDA_ERROR_INVALID_VALUE");
    other.end();
}

#[test]
fn an_event_orders_work_of_two_processes() {
    static GATE: Gate = Gate::new();
    let _own = primary();
    let (mut stream, mut event, mut plain) = (CUstream::NULL, CUevent::NULL, CUevent::NULL);
    ok!(cuStreamCreate(&mut stream, 1));
    assert_eq!(code!(cuEventCreate(&mut event, 4)), INVALID, "it must not time");
    ok!(cuEventCreate(&mut event, FLAGS));
    ok!(cuEventCreate(&mut plain, 2));
    let mut handle = CUipcEventHandle { reserved: [0; 64] };
    assert_eq!(code!(cuIpcGetEventHandle(&mut handle, plain)), CUresult::INVALID_HANDLE);
    ok!(cuIpcGetEventHandle(&mut handle, event));
    let mut here = CUevent::NULL;
    assert_eq!(code!(cuIpcOpenEventHandle(&mut here, handle)), CUresult::INVALID_CONTEXT);
    let mut other = Other::start("event");
    other.tell(&hex(&handle.reserved));
    assert_eq!(other.hear(), "CUDA_SUCCESS", "nothing was recorded");
    GATE.hold(stream);
    ok!(cuEventRecord(event, stream));
    other.tell("recorded");
    assert_eq!(other.hear(), "CUDA_ERROR_NOT_READY");
    assert_eq!(other.hear(), "CUDA_ERROR_NOT_READY", "the stream there that waits");
    GATE.open();
    assert_eq!(other.hear(), "CUDA_SUCCESS");
    // The other process has recorded the event since.
    ok!(cuStreamWaitEvent(stream, event, 0));
    ok!(cuStreamSynchronize(stream));
    ok!(cuEventSynchronize(event));
    other.end();
    ok!(cuEventDestroy_v2(event));
}

#[test]
fn physical_memory_is_shared_by_a_descriptor() {
    let _own = primary();
    let prop = CUmemAllocationProp::of_device(0, POSIX_FILE_DESCRIPTOR);
    let (mut handle, mut alone, mut descriptor) = (0, 0, -1);
    ok!(cuMemCreate(&mut handle, LEN, &prop, 0));
    ok!(cuMemCreate(&mut alone, LEN, &CUmemAllocationProp::of_device(0, 0), 0));
    let out = (&raw mut descriptor).cast();
    assert_eq!(code!(cuMemExportToShareableHandle(out, alone, 1, 0)), INVALID, "it was made without the type");
    assert_eq!(code!(cuMemExportToShareableHandle(out, handle, 1, 1)), INVALID);
    assert_eq!(code!(cuMemExportToShareableHandle(out, handle, 3, 0)), INVALID);
    let base = map(handle);
    fill(base, 3);
    ok!(cuMemExportToShareableHandle(out, handle, 1, 0));
    let mut other = Other::start(&format!("physical {}", inherited(descriptor)));
    close(descriptor);
    assert_eq!(other.hear(), "3");
    assert_eq!(word(base), 4, "what the other process wrote");
    // The memory lasts as long as either process has it.
    ok!(cuMemUnmap(base, LEN));
    ok!(cuMemRelease(handle));
    other.tell("released");
    assert_eq!(other.hear(), "4");
    other.end();
    let mut imported = 0;
    assert_eq!(code!(cuMemImportFromShareableHandle(&mut imported, 9999 as *mut _, 1)), INVALID);
}

#[test]
fn a_pool_and_its_pointers_are_shared() {
    let _own = primary();
    // SAFETY: a structure of numbers and a pointer, for which zeros are values.
    let mut props: CUmemPoolProps = unsafe { std::mem::zeroed() };
    (props.allocType, props.handleTypes, props.location) = (1, 1, CUmemLocation { type_: 1, id: 0 });
    let (mut pool, mut address, mut descriptor) = (CUmemoryPool::NULL, 0, -1);
    ok!(cuMemPoolCreate(&mut pool, &props));
    ok!(cuMemAllocFromPoolAsync(&mut address, LEN, pool, CUstream::NULL));
    fill(address, 5);
    let mut pointer = CUmemPoolPtrExportData { reserved: [0; 64] };
    ok!(cuMemPoolExportPointer(&mut pointer, address));
    assert_eq!(code!(cuMemPoolExportPointer(&mut pointer, address + 4)), INVALID);
    let mut default = CUmemoryPool::NULL;
    ok!(cuDeviceGetDefaultMemPool(&mut default, 0));
    let out = (&raw mut descriptor).cast();
    assert_eq!(code!(cuMemPoolExportToShareableHandle(out, default, 1, 0)), INVALID);
    ok!(cuMemPoolExportToShareableHandle(out, pool, 1, 0));
    let mut other = Other::start(&format!("pool {}", inherited(descriptor)));
    close(descriptor);
    other.tell(&hex(&pointer.reserved));
    assert_eq!(other.hear(), "5");
    assert_eq!(word(address), 6);
    other.end();
    ok!(cuMemFreeAsync(address, CUstream::NULL));
    ok!(cuMemPoolDestroy(pool));
}

/// What the second process does; in the first one nothing.
#[test]
fn other() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let _own = primary();
    let descriptor = role.split_once(' ').map_or(0, |(_, number)| number.parse().expect("a number")) as *mut _;
    match role.split(' ').next() {
        Some("memory") => {
            let handle = CUipcMemHandle { reserved: bytes(&listen()) };
            let (mut address, mut again) = (0, 0);
            ok!(cuIpcOpenMemHandle_v2(&mut address, handle, LAZY));
            ok!(cuIpcOpenMemHandle_v2(&mut again, handle, LAZY));
            assert_eq!(address, again);
            assert_eq!(code!(cuMemFree_v2(address)), INVALID);
            say(word(address));
            listen();
            ok!(cuMemsetD32_v2(address + LEN as u64 - 4, 9, 1));
            ok!(cuCtxSynchronize());
            say(word(address));
            ok!(cuIpcCloseMemHandle(address));
            assert_eq!(word(address + LEN as u64 - 4), 9);
            ok!(cuIpcCloseMemHandle(address));
            assert_eq!(code!(cuIpcCloseMemHandle(address)), INVALID);
        }
        Some("gone") => {
            let handle = CUipcMemHandle { reserved: bytes(&listen()) };
            let mut address = 0;
            say(code!(cuIpcOpenMemHandle_v2(&mut address, handle, LAZY)));
        }
        Some("event") => {
            let handle = CUipcEventHandle { reserved: bytes(&listen()) };
            let (mut event, mut stream) = (CUevent::NULL, CUstream::NULL);
            ok!(cuIpcOpenEventHandle(&mut event, handle));
            ok!(cuStreamCreate(&mut stream, 1));
            say(code!(cuEventQuery(event)));
            listen();
            say(code!(cuEventQuery(event)));
            ok!(cuStreamWaitEvent(stream, event, 0));
            say(code!(cuStreamQuery(stream)));
            ok!(cuEventSynchronize(event));
            ok!(cuStreamSynchronize(stream));
            ok!(cuEventRecord(event, stream));
            ok!(cuEventSynchronize(event));
            say(code!(cuEventQuery(event)));
        }
        Some("physical") => {
            let mut handle = 0;
            ok!(cuMemImportFromShareableHandle(&mut handle, descriptor, 1));
            let base = map(handle);
            let before = word(base);
            fill(base, before + 1);
            say(before);
            listen();
            say(word(base));
        }
        Some("pool") => {
            let pointer = bytes(&listen());
            let (mut pool, mut address) = (CUmemoryPool::NULL, 0);
            ok!(cuMemPoolImportFromShareableHandle(&mut pool, descriptor, 1, 0));
            let mut pointer = CUmemPoolPtrExportData { reserved: pointer };
            ok!(cuMemPoolImportPointer(&mut address, pool, &mut pointer));
            let none = CUstream::NULL;
            assert_eq!(code!(cuMemAllocFromPoolAsync(&mut 0, 64, pool, none)), INVALID, "an imported one");
            assert_eq!(code!(cuDeviceSetMemPool(0, pool)), INVALID);
            let mut wrong = CUmemPoolPtrExportData { reserved: [1; 64] };
            assert_eq!(code!(cuMemPoolImportPointer(&mut 0, pool, &mut wrong)), INVALID);
            let before = word(address);
            fill(address, before + 1);
            say(before);
            ok!(cuMemFreeAsync(address, none));
            ok!(cuStreamSynchronize(none));
            ok!(cuMemPoolDestroy(pool));
        }
        _ => panic!("{role} is no role"),
    }
}
