//! Modules, libraries, their functions and global variables.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::device::{SHARED_PER_BLOCK, capability};
use super::memory::{HostKind, Origin, memory};
use super::version;
use super::{ContextId, World, setting};
use crate::record;
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::{Entry, GlobalVariable, Kernel, Program, PtxErrorKind};
use graphproof_image::{ELF, FATBIN, Loadable, WRAPPER};

/// A kernel as one context sees it: what `CUfunction` names.
#[derive(Debug)]
pub struct Function {
    /// Its `CUfunction`.
    pub handle: u64,
    /// Its `CUmodule`.
    pub module: u64,
    /// Its context.
    pub context: ContextId,
    /// The kernel, decoded when it is first needed.
    pub entry: Arc<Entry>,
    /// Device address of each of the module's globals.
    pub globals: Arc<[u64]>,
    /// `.version` of its PTX: 10 × major + minor.
    pub ptx_version: u32,
    /// Constant memory of its module, in bytes.
    pub constant_bytes: u64,
    /// It stands for machine code, and is not executed.
    pub opaque: bool,
    /// What can be set.
    pub settings: Settings,
    name: CString,
}

impl Function {
    /// The kernel's name, for C.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// The decoded kernel.
    ///
    /// # Errors
    /// That of [`kernel_of`].
    pub fn kernel(&self) -> Cuda<&Arc<Kernel>> {
        kernel_of(&self.entry)
    }
}

/// The decoded kernel of an entry. The first call decodes it: ask without holding the world.
///
/// # Errors
/// `CUDA_ERROR_NOT_SUPPORTED` for one that uses what has no model, `CUDA_ERROR_INVALID_PTX` for one
/// that does not fit together; the reason goes to the record.
pub fn kernel_of(entry: &Entry) -> Cuda<&Arc<Kernel>> {
    entry.kernel().map_err(|error| {
        record::note(|| format!("kernel `{}` cannot run: {}", entry.name, error.brief()));
        match error.kind {
            PtxErrorKind::Unsupported => CUresult::NOT_SUPPORTED,
            PtxErrorKind::Syntax | PtxErrorKind::Semantic => CUresult::INVALID_PTX,
        }
    })
}

/// Attributes of a function or kernel that can be set.
#[derive(Debug)]
pub struct Settings {
    /// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`, once it has been set.
    max_dynamic_shared: AtomicU32,
    /// `CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT`.
    pub carveout: AtomicI32,
    /// `CUfunc_cache`.
    pub cache: AtomicU32,
    /// `CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED`.
    pub non_portable_cluster: AtomicBool,
    /// Whether a first launch or `cuFuncLoad` has loaded it.
    pub loaded: AtomicBool,
}

/// Stands for a limit that nobody has set.
const UNSET: u32 = u32::MAX;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_dynamic_shared: AtomicU32::new(UNSET),
            carveout: AtomicI32::new(-1),
            cache: AtomicU32::new(0),
            non_portable_cluster: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
        }
    }
}

impl Settings {
    /// Dynamic shared memory that a launch of `kernel` may ask for, in bytes.
    pub fn max_dynamic_shared(&self, kernel: &Kernel) -> u32 {
        match self.max_dynamic_shared.load(Ordering::Relaxed) {
            UNSET => SHARED_PER_BLOCK.saturating_sub(kernel.static_shared_bytes),
            set => set,
        }
    }

    /// Sets [`Settings::max_dynamic_shared`].
    pub fn set_max_dynamic_shared(&self, bytes: u32) {
        self.max_dynamic_shared.store(bytes, Ordering::Relaxed);
    }

    /// Takes over what was set of a kernel: it goes to each of its functions. What was set of the function
    /// alone stays where the kernel says nothing.
    fn copy_from(&self, other: &Self) {
        let limit = other.max_dynamic_shared.load(Ordering::Relaxed);
        if limit != UNSET {
            self.max_dynamic_shared.store(limit, Ordering::Relaxed);
        }
        let carveout = other.carveout.load(Ordering::Relaxed);
        if carveout != -1 {
            self.carveout.store(carveout, Ordering::Relaxed);
        }
        let cache = other.cache.load(Ordering::Relaxed);
        if cache != 0 {
            self.cache.store(cache, Ordering::Relaxed);
        }
        if other.non_portable_cluster.load(Ordering::Relaxed) {
            self.non_portable_cluster.store(true, Ordering::Relaxed);
        }
    }
}

/// A module: a program loaded into a context.
#[derive(Debug)]
pub struct Module {
    /// The program.
    pub program: Arc<Program>,
    /// Its context.
    pub context: ContextId,
    /// Functions, in the order of the program's kernels.
    pub functions: Vec<u64>,
    /// Addresses of the globals, in the program's order.
    pub globals: Arc<[u64]>,
    /// The library that it was loaded for, or 0.
    pub library: u64,
}

/// A library: a program that is loaded into each context that uses it.
#[derive(Debug)]
pub struct Library {
    /// The program.
    pub program: Arc<Program>,
    /// Its kernels, in the program's order.
    pub kernels: Vec<u64>,
    /// Its module in each context.
    pub modules: BTreeMap<ContextId, u64>,
}

/// A kernel of a library.
#[derive(Debug)]
pub struct LibraryKernel {
    /// Its library.
    pub library: u64,
    /// Its position in the program.
    pub index: usize,
    /// The kernel, decoded when it is first needed.
    pub entry: Arc<Entry>,
    /// Attributes for functions to come.
    pub settings: Arc<Settings>,
    name: CString,
}

impl LibraryKernel {
    /// The kernel's name, for C.
    pub fn name(&self) -> &CStr {
        &self.name
    }
}

// A PTX identifier has no NUL.
fn c_name(entry: &Entry) -> CString {
    CString::new(entry.name.as_str()).unwrap_or_default()
}

/// Machine code is loaded as kernels that do nothing, where this is set to anything but `0`.
const OPAQUE_KERNELS: &str = "GRAPHPROOF_OPAQUE_KERNELS";

/// Reads a module image: PTX text that ends at a NUL or with the bytes, or a binary that holds such text.
pub fn parse_image(image: &[u8]) -> Result<Program, ImageError> {
    if ![ELF, FATBIN, WRAPPER].iter().any(|magic| image.starts_with(magic)) {
        return parse_text(image.split(|&byte| byte == 0).next().unwrap_or_default());
    }
    let opaque = setting(OPAQUE_KERNELS).is_some_and(|value| value != "0");
    match graphproof_image::choose(image, capability().number().unsigned_abs(), opaque)? {
        Loadable::Ptx(text) => parse_text(text.as_bytes()),
        Loadable::Opaque(cubin) => {
            let program = parse_text(cubin.outside().as_bytes())?;
            record::tell(format!(
                "a module of machine code for {}: its {} kernels are recorded and captured, and NOT executed; \
                 what they are given is poisoned",
                cubin.target(),
                cubin.kernels.len()
            ));
            Ok(Program { opaque: true, ..program })
        }
    }
}

impl From<graphproof_image::ImageError> for ImageError {
    fn from(error: graphproof_image::ImageError) -> Self {
        let code = match error {
            graphproof_image::ImageError::Broken(_) => CUresult::INVALID_IMAGE,
            graphproof_image::ImageError::NothingForDevice(_) => CUresult::NO_BINARY_FOR_GPU,
        };
        Self { code, text: error.to_string() }
    }
}

fn parse_text(image: &[u8]) -> Result<Program, ImageError> {
    let invalid = |code, text: String| ImageError { code, text };
    let text = std::str::from_utf8(image).map_err(|error| {
        invalid(CUresult::INVALID_IMAGE, format!("the image is neither PTX text nor a binary: {error}"))
    })?;
    if !text.contains(".version") {
        return Err(invalid(CUresult::INVALID_IMAGE, "the image is not PTX: it has no .version directive".to_owned()));
    }
    let program = Program::load(text).map_err(|error| {
        let code = match error.kind {
            PtxErrorKind::Unsupported => CUresult::NOT_SUPPORTED,
            PtxErrorKind::Syntax | PtxErrorKind::Semantic => CUresult::INVALID_PTX,
        };
        invalid(code, error.to_string())
    });
    check_version(text, program.is_ok())?;
    let program = program?;
    check_target(&program.target)?;
    Ok(program)
}

/// A text of a newer PTX ISA than the driver knows is refused for that, as a driver does where it answers as an older
/// version. Else compilers of the same major ISA may be newer than this driver: what it cannot run of their texts, it
/// refuses instruction by instruction, in the entry that has it. A text that cannot be read may hold words that only
/// its ISA knows: then its version is the cause.
fn check_version(text: &str, is_read: bool) -> Result<(), ImageError> {
    let Some((major, minor)) = graphproof_exec::ptx::declared_version(text) else { return Ok(()) };
    let newest = version::answered().ptx;
    let may_run = is_read && major == newest.0 && version::restricted().is_none();
    if (major, minor) <= newest || may_run {
        return Ok(());
    }
    let ours = format!("{}.{}", newest.0, newest.1);
    let text = format!("the text is of PTX ISA {major}.{minor}; this driver knows {ours} and older");
    Err(ImageError { code: CUresult::UNSUPPORTED_PTX_VERSION, text })
}

/// PTX for a newer architecture than the device's has nothing in it that the device can run.
fn check_target(target: &str) -> Result<(), ImageError> {
    let digits: String = target.trim_start_matches("sm_").chars().take_while(char::is_ascii_digit).collect();
    let capability = capability().number();
    match digits.parse::<i32>() {
        Ok(wanted) if wanted > capability => {
            let text = format!(
                "the PTX is for {target}; this device is sm_{capability}: compile for sm_{capability} or older"
            );
            Err(ImageError { code: CUresult::NO_BINARY_FOR_GPU, text })
        }
        _ => Ok(()),
    }
}

impl ImageError {
    /// Notes the reason, without the picture of the place; gives what the call answers.
    pub fn noted(&self) -> CUresult {
        record::note(|| self.text.lines().next().unwrap_or_default().to_owned());
        self.code
    }
}

/// Why an image cannot be loaded.
#[derive(Debug)]
pub struct ImageError {
    /// What the call answers.
    pub code: CUresult,
    /// For the JIT's log and the record.
    pub text: String,
}

impl World {
    /// Loads a program into a context.
    pub fn load_module(&mut self, context: ContextId, program: Arc<Program>, library: u64) -> Cuda<u64> {
        let globals: Arc<[u64]> = allocate_globals(&program.globals, context, self.device_of(context)?)?.into();
        let version = program.version.0 * 10 + program.version.1;
        let module = self.modules.insert(Module {
            program: program.clone(),
            context,
            functions: Vec::new(),
            globals: globals.clone(),
            library,
        });
        let functions = program.entries.iter().map(|entry| {
            self.functions.insert_with(|handle| {
                Arc::new(Function {
                    handle,
                    module,
                    context,
                    entry: entry.clone(),
                    globals: globals.clone(),
                    ptx_version: version,
                    constant_bytes: program.constant_bytes(),
                    opaque: program.opaque,
                    settings: Settings::default(),
                    name: c_name(entry),
                })
            })
        });
        let functions = functions.collect();
        if let Some(found) = self.modules.get_mut(module) {
            found.functions = functions;
        }
        Ok(module)
    }

    /// Unloads a module. The device must not be using it.
    pub fn unload_module(&mut self, module: u64) -> Cuda {
        let module = self.modules.remove(module).ok_or(CUresult::INVALID_HANDLE)?;
        for function in module.functions {
            self.functions.remove(function);
        }
        for (variable, &address) in module.program.globals.iter().zip(module.globals.iter()) {
            free_global(variable, address);
        }
        Ok(())
    }

    /// Adds a library.
    pub fn load_library(&mut self, program: Arc<Program>) -> u64 {
        let library =
            self.libraries.insert(Library { program: program.clone(), kernels: Vec::new(), modules: BTreeMap::new() });
        let kernels = program.entries.iter().enumerate().map(|(index, entry)| {
            let settings = Arc::new(Settings::default());
            self.kernels.insert(LibraryKernel { library, index, entry: entry.clone(), settings, name: c_name(entry) })
        });
        let kernels = kernels.collect();
        if let Some(found) = self.libraries.get_mut(library) {
            found.kernels = kernels;
        }
        library
    }

    /// Unloads a library, with its module in each context.
    pub fn unload_library(&mut self, library: u64) -> Cuda {
        let library = self.libraries.remove(library).ok_or(CUresult::INVALID_HANDLE)?;
        for kernel in library.kernels {
            self.kernels.remove(kernel);
        }
        for module in library.modules.into_values() {
            let _ = self.unload_module(module);
        }
        Ok(())
    }

    /// A library's module in a context, loaded on first use.
    pub fn library_module(&mut self, library: u64, context: ContextId) -> Cuda<u64> {
        let found = self.libraries.get(library).ok_or(CUresult::INVALID_HANDLE)?;
        if let Some(&module) = found.modules.get(&context) {
            return Ok(module);
        }
        let program = found.program.clone();
        let module = self.load_module(context, program, library)?;
        if let Some(found) = self.libraries.get_mut(library) {
            found.modules.insert(context, module);
        }
        Ok(module)
    }

    /// A library kernel's function in a context.
    pub fn kernel_function(&mut self, kernel: u64, context: ContextId) -> Cuda<Arc<Function>> {
        let found = self.kernels.get(kernel).ok_or(CUresult::INVALID_HANDLE)?;
        let (library, index, settings) = (found.library, found.index, found.settings.clone());
        let module = self.library_module(library, context)?;
        let handle = self.modules.get(module).and_then(|module| module.functions.get(index)).copied();
        let function = handle.and_then(|handle| self.functions.get(handle)).ok_or(CUresult::NOT_FOUND)?;
        function.settings.copy_from(&settings);
        Ok(function.clone())
    }
}

/// `CU_MEM_ATTACH_GLOBAL`.
const ATTACH_GLOBAL: u32 = 1;

fn free_global(variable: &GlobalVariable, address: u64) {
    // It was allocated with its module; nobody else may free it.
    let _ = match variable.managed {
        true => memory().space.free_host(address, HostKind::Managed),
        false => memory().free(address),
    };
}

fn allocate_globals(globals: &[GlobalVariable], context: ContextId, device: i32) -> Cuda<Vec<u64>> {
    let mut memory = memory();
    let mut addresses = Vec::with_capacity(globals.len());
    for global in globals {
        let allocated = match global.managed {
            true => memory.space.allocate_host(global.size.max(1), HostKind::Managed, ATTACH_GLOBAL, device),
            false => memory.space.allocate(global.size.max(1), Origin::Module(context.0)),
        };
        match allocated {
            Ok(address) => addresses.push(address),
            Err(code) => {
                drop(memory);
                globals.iter().zip(addresses).for_each(|(variable, address)| free_global(variable, address));
                return Err(code);
            }
        }
    }
    for (global, &address) in globals.iter().zip(&addresses) {
        let size = global.size.max(1);
        let Some(bytes) = memory.space.locate(address, size) else { continue };
        // SAFETY: the new allocation's own bytes; no kernel knows the address yet.
        let bytes = unsafe { std::slice::from_raw_parts_mut(bytes, size as usize) };
        let init = &global.init[..global.init.len().min(bytes.len())];
        bytes.fill(0);
        bytes[..init.len()].copy_from_slice(init);
        for value in &global.addresses {
            value.store(bytes, &addresses);
        }
    }
    Ok(addresses)
}
