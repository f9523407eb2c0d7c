//! What kernels ask of the device, through the C ABI: text appears when the host waits, the heap outlives a
//! launch, addresses of functions and variables are stored by loading, and a programmatic launch is taken.
use std::ffi::{CStr, CString, c_void};
use std::process::Command;
use std::ptr::null_mut;

use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

const CHILD: &str = "DEVICE_RUNTIME_TEST_CHILD";

fn module(body: &str) -> CUmodule {
    let text = format!(".version 8.0\n.target sm_80\n.address_size 64\n{body}");
    let text = CString::new(text).expect("no NUL");
    let mut module = CUmodule::NULL;
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

fn function(module: CUmodule, name: &CStr) -> CUfunction {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    function
}

/// Launches one thread with one 64-bit parameter, without waiting.
fn launch(function: CUfunction, mut parameter: u64) {
    let mut parameters = [(&raw mut parameter).cast::<c_void>()];
    let (stream, extra) = (CUstream::NULL, null_mut());
    ok!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, parameters.as_mut_ptr(), extra));
}

fn memory(words: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, 8 * words));
    ok!(cuMemsetD8_v2(address, 0, 8 * words));
    address
}

fn read(address: CUdeviceptr, words: usize) -> Vec<u64> {
    let mut read = vec![0u64; words];
    ok!(cuMemcpyDtoH_v2(read.as_mut_ptr() as u64, address, 8 * words));
    read
}

const PRINT: &str = ".extern .func (.param .b32 n) vprintf (.param .b64 f, .param .b64 a);\n\
    .global .align 1 .b8 text[10] = {110, 117, 109, 98, 101, 114, 32, 37, 100, 10};\n.global .b8 end[1];\n\
    .visible .entry print(.param .u64 number)\n{\n.reg .b64 %rd<8>;\n.local .align 8 .b8 args[8];\n\
    ld.param.u64 %rd1, [number];\nst.local.u64 [args], %rd1;\nmov.u64 %rd2, text;\ncvta.global.u64 %rd2, %rd2;\n\
    mov.u64 %rd3, args;\ncvta.local.u64 %rd3, %rd3;\n\
    {\n.param .b64 f;\n.param .b64 a;\n.param .b32 n;\nst.param.b64 [f], %rd2;\nst.param.b64 [a], %rd3;\n\
    call.uni (n), vprintf, (f, a);\n}\nret;\n}\n";

/// Prints by five ways of waiting, with a mark of its own after each.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let _own = crate::abi_support::primary();
    // The text ends where its array does: a NUL of its own.
    let print = function(module(&PRINT.replace("text[10]", "text[11]")), c"print");
    let (mut event, address) = (CUevent::NULL, memory(1));
    ok!(cuEventCreate(&mut event, 0));
    for way in 0..5u64 {
        launch(print, way);
        match way {
            0 => ok!(cuCtxSynchronize()),
            1 => ok!(cuStreamSynchronize(CUstream::NULL)),
            2 => {
                ok!(cuEventRecord(event, CUstream::NULL));
                ok!(cuEventSynchronize(event));
            }
            3 => drop(read(address, 1)),
            _ => ok!(cuMemFree_v2(address)),
        }
        println!("mark {way}");
    }
}

#[test]
fn printed_text_appears_when_the_host_waits() {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "runtime::child", "--nocapture"]).env(CHILD, "1");
    let output = command.output().expect("a child");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("number") || line.starts_with("mark")).collect();
    let expected: Vec<String> = (0..5).flat_map(|way| [format!("number {way}"), format!("mark {way}")]).collect();
    assert_eq!(lines, expected);
}

#[test]
fn the_heap_outlives_a_launch() {
    let _own = crate::abi_support::primary();
    let module = module(
        ".extern .func (.param .b64 p) malloc (.param .b64 n);\n.extern .func free (.param .b64 p);\n\
         .visible .entry take(.param .u64 out)\n{\n.reg .b64 %rd<8>;\nld.param.u64 %rd1, [out];\n\
         {\n.param .b64 n;\n.param .b64 p;\nst.param.b64 [n], 100;\ncall.uni (p), malloc, (n);\nld.param.b64 %rd2, [p];\n}\n\
         st.u64 [%rd2+8], 4711;\nst.global.u64 [%rd1], %rd2;\nret;\n}\n\
         .visible .entry give(.param .u64 out)\n{\n.reg .b64 %rd<8>;\nld.param.u64 %rd1, [out];\n\
         ld.global.u64 %rd2, [%rd1];\nld.u64 %rd3, [%rd2+8];\nst.global.u64 [%rd1+8], %rd3;\n\
         {\n.param .b64 p;\nst.param.b64 [p], %rd2;\ncall.uni free, (p);\n}\nret;\n}\n",
    );
    let out = memory(2);
    for _ in 0..2 {
        launch(function(module, c"take"), out);
        launch(function(module, c"give"), out);
        let [address, value] = read(out, 2)[..] else { panic!("two words") };
        assert!(address != 0 && address % 16 == 0 && value == 4711, "{address:#x} {value}");
    }
    ok!(cuModuleUnload(module));
    ok!(cuMemFree_v2(out));
}

#[test]
fn loading_stores_the_addresses_of_functions_and_variables() {
    let _own = crate::abi_support::primary();
    // A class with a virtual function, as nvcc compiles it: the object holds the table's address.
    let module = module(
        ".func (.param .b64 r) virtual_one(.param .b64 this)\n{\nst.param.b64 [r], 11;\nret;\n}\n\
         .func (.param .b64 r) virtual_two(.param .b64 this)\n{\nst.param.b64 [r], 22;\nret;\n}\n\
         .global .align 8 .u64 vtable[4] = {0, 0, virtual_one, virtual_two};\n\
         .global .align 8 .u64 object = generic(vtable)+16;\n\
         .global .align 1 .b8 packed[8] = {0xFF(vtable), 0xFF00(vtable), 0xFF0000(vtable), 0xFF000000(vtable), \
          0xFF00000000(vtable), 0xFF0000000000(vtable), 0xFF000000000000(vtable), 0xFF00000000000000(vtable)};\n\
         .visible .entry dispatch(.param .u64 out)\n{\n.reg .b64 %rd<16>;\nld.param.u64 %rd1, [out];\n\
         .global .align 8 .u64 calls;\nld.global.u64 %rd9, [calls];\nadd.u64 %rd9, %rd9, 1;\nst.global.u64 [calls], %rd9;\n\
         ld.global.u64 %rd2, [object];\nld.u64 %rd3, [%rd2];\nld.u64 %rd4, [%rd2+8];\n\
         {\n.param .b64 this;\n.param .b64 r;\nst.param.b64 [this], %rd2;\n\
         proto: .callprototype (.param .b64 _) _ (.param .b64 _);\n\
         call (r), %rd3, (this), proto;\nld.param.b64 %rd5, [r];\ncall (r), %rd4, (this), proto;\nld.param.b64 %rd6, [r];\n}\n\
         st.global.u64 [%rd1], %rd5;\nst.global.u64 [%rd1+8], %rd6;\nst.global.u64 [%rd1+16], %rd9;\nret;\n}\n",
    );
    let out = memory(3);
    for calls in 1..3 {
        launch(function(module, c"dispatch"), out);
        assert_eq!(read(out, 3), [11, 22, calls]);
    }
    let global = |name: &CStr| {
        let (mut address, mut bytes) = (0, 0);
        ok!(cuModuleGetGlobal_v2(&mut address, &mut bytes, module, name.as_ptr()));
        address
    };
    let table = global(c"vtable");
    assert_eq!(read(global(c"object"), 1), [table + 16]);
    assert_eq!(read(global(c"packed"), 1), [table]);
    ok!(cuModuleUnload(module));
    ok!(cuMemFree_v2(out));
}

#[test]
fn a_programmatic_launch_is_taken() {
    let _own = crate::abi_support::primary();
    let module = module(
        ".visible .entry add(.param .u64 out)\n{\n.reg .b64 %rd<4>;\nld.param.u64 %rd1, [out];\n\
         ld.global.u64 %rd2, [%rd1];\nadd.u64 %rd2, %rd2, 1;\nst.global.u64 [%rd1], %rd2;\nret;\n}\n",
    );
    let (add, mut out) = (function(module, c"add"), memory(1));
    // SAFETY: plain old data, for which zero is a value.
    let mut attribute: CUlaunchAttribute = unsafe { std::mem::zeroed() };
    attribute.id = 6;
    // SAFETY: the first word of the value, which is an `int`.
    unsafe { (&raw mut attribute.value).cast::<i32>().write(1) };
    let config = CUlaunchConfig {
        gridDimX: 1,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: 1,
        blockDimY: 1,
        blockDimZ: 1,
        attrs: &raw mut attribute,
        numAttrs: 1,
        // SAFETY: as above.
        ..unsafe { std::mem::zeroed() }
    };
    for _ in 0..5 {
        let mut parameters = [(&raw mut out).cast::<c_void>()];
        ok!(cuLaunchKernelEx(&config, add, parameters.as_mut_ptr(), null_mut()));
    }
    assert_eq!(read(out, 1), [5]);
    // Captured behind a kernel its edge is programmatic, behind a fill a full one, as an H200 answers; and only the query
    // that gives annotations has an answer.
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, 1));
    let early = CUlaunchConfig { hStream: stream, ..config };
    let plain = CUlaunchConfig { numAttrs: 0, ..early };
    let (mut graph, mut count) = (CUgraph::NULL, 8);
    let (mut from, mut to) = ([CUgraphNode::NULL; 8], [CUgraphNode::NULL; 8]);
    // SAFETY: plain old data, for which zero is a value.
    let mut edges = [unsafe { std::mem::zeroed() }; 8];
    ok!(cuStreamBeginCapture_v2(stream, 2));
    for launch in [&plain, &early, &early, &plain] {
        let mut parameters = [(&raw mut out).cast::<c_void>()];
        ok!(cuLaunchKernelEx(launch, add, parameters.as_mut_ptr(), null_mut()));
    }
    ok!(cuMemsetD8Async(out, 0, 8, stream));
    let mut parameters = [(&raw mut out).cast::<c_void>()];
    ok!(cuLaunchKernelEx(&early, add, parameters.as_mut_ptr(), null_mut()));
    ok!(cuStreamEndCapture(stream, &mut graph));
    // SAFETY: places for eight edges.
    let lossy = unsafe { cuGraphGetEdges(graph, from.as_mut_ptr(), to.as_mut_ptr(), &mut count) };
    assert_eq!(lossy, CUresult(402));
    ok!(cuGraphGetEdges_v2(graph, from.as_mut_ptr(), to.as_mut_ptr(), edges.as_mut_ptr(), &mut count));
    let annotations: Vec<[u8; 3]> =
        edges[..count].iter().map(|edge| [edge.from_port, edge.to_port, edge.kind]).collect();
    assert_eq!(annotations, [[1, 0, 1], [1, 0, 1], [0; 3], [0; 3], [0; 3]]);
    ok!(cuGraphDestroy(graph));
    ok!(cuStreamDestroy_v2(stream));
    ok!(cuModuleUnload(module));
    ok!(cuMemFree_v2(out));
}

/// Of two kernels with a programmatic edge between them, one that reads what the other writes has to wait for its end.
#[test]
fn a_kernel_that_begins_early_and_does_not_wait_is_no_order() {
    let _own = crate::abi_support::primary();
    let body = |name: &str, wait: &str| {
        format!(
            ".visible .entry {name}(.param .u64 out)\n{{\n.reg .b64 %rd<4>;\n{wait}ld.param.u64 %rd1, [out];\n\
             ld.global.u64 %rd2, [%rd1];\nadd.u64 %rd2, %rd2, 1;\nst.global.u64 [%rd1], %rd2;\nret;\n}}\n"
        )
    };
    let text = [body("first", ""), body("hasty", ""), body("patient", "griddepcontrol.wait;\n")].concat();
    let module = module(&text);
    let mut out = memory(1);
    // SAFETY: plain old data, for which zero is a value.
    let mut attribute: CUlaunchAttribute = unsafe { std::mem::zeroed() };
    attribute.id = 6;
    // SAFETY: the first word of the value, which is an `int`.
    unsafe { (&raw mut attribute.value).cast::<i32>().write(1) };
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, 1));
    let mut conflicts = |second: &CStr, early: u32| {
        let config = |attributes: u32| CUlaunchConfig {
            gridDimX: 1,
            gridDimY: 1,
            gridDimZ: 1,
            blockDimX: 1,
            blockDimY: 1,
            blockDimZ: 1,
            hStream: stream,
            attrs: &raw const attribute as *mut _,
            numAttrs: attributes,
            // SAFETY: as above.
            ..unsafe { std::mem::zeroed() }
        };
        let (mut graph, mut exec) = (CUgraph::NULL, CUgraphExec::NULL);
        ok!(cuStreamBeginCapture_v2(stream, 2));
        for (kernel, attributes) in [(c"first", 0), (second, early), (c"first", 0)] {
            let mut parameters = [(&raw mut out).cast::<c_void>()];
            ok!(cuLaunchKernelEx(&config(attributes), function(module, kernel), parameters.as_mut_ptr(), null_mut()));
        }
        ok!(cuStreamEndCapture(stream, &mut graph));
        ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        graphproof_driver::observe::start();
        ok!(cuGraphLaunch(exec, stream));
        let found = graphproof_driver::observe::stop();
        let nodes = |conflict: &graphproof_driver::observe::Conflict| conflict.works.map(|work| found.works[work].node);
        let pairs: Vec<[Option<u32>; 2]> = found.conflicts().iter().map(nodes).collect();
        ok!(cuGraphExecDestroy(exec));
        ok!(cuGraphDestroy(graph));
        pairs
    };
    assert!(conflicts(c"hasty", 0).is_empty());
    assert!(conflicts(c"patient", 1).is_empty());
    // Nor is what comes behind it known to come behind the first.
    assert_eq!(conflicts(c"hasty", 1), [[Some(0), Some(1)], [Some(0), Some(2)]]);
    ok!(cuStreamDestroy_v2(stream));
    ok!(cuModuleUnload(module));
    ok!(cuMemFree_v2(out));
}
