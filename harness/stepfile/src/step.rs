//! A declared step at a shape, as the harness judges it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphproof_harness::capture_as::StreamKind;
use graphproof_harness::context::{self, HostContext, StepContext};
use graphproof_harness::cuda::{CudaError, Event, Stream};
use graphproof_harness::cudarc::driver::sys;
use graphproof_harness::error::{StepError, StepResult};
use graphproof_harness::finding::Place;
use graphproof_harness::step::{BufferSpec, ClosedForm, HostBuffers, Module, Role, Step};

use crate::expression::{Names, Value};
use crate::fill::Fill;
use crate::modules::parameter_counts;
use crate::number::encode;
use crate::strides::Layout;
use crate::work::{Argument, Host, Launch, What, Work};

/// A buffer with what stands in it.
#[derive(Debug)]
pub struct Buffer {
    /// As it lies in memory.
    pub spec: BufferSpec,
    /// Where its elements lie in that, if not behind each other.
    pub layout: Option<Layout>,
    pub fill: Option<Fill>,
    pub dummy: Option<Fill>,
}

/// What stands between the rows of an input: no number in floating point, and no index.
const ROOM: u8 = 0xFF;

impl Buffer {
    /// Fills it for a step; `at` is the step, the seed and the buffer's number.
    fn write(&self, fill: &Fill, at: (u64, u64, u64), bytes: &mut [u8]) -> StepResult<()> {
        let (index, seed, number) = at;
        let written = |bytes: &mut [u8]| {
            let written = fill.write(self.spec.dtype, index, seed, number, bytes);
            written.map_err(|why| StepError::Other(format!("'{}': {why}", self.spec.name)))
        };
        let Some(layout) = &self.layout else { return written(bytes) };
        let size = self.spec.dtype.size();
        let mut dense = vec![0; layout.extents.iter().product::<usize>() * size];
        written(&mut dense)?;
        layout.spread(&dense, size, ROOM, bytes);
        Ok(())
    }
}

/// A step of a file.
#[derive(Debug)]
pub struct TomlStep {
    name: String,
    summary: String,
    modules: Vec<Module>,
    buffers: Vec<Buffer>,
    names: Names,
    memory: Option<ClosedForm>,
    work: Vec<Work>,
    before: Vec<(Work, String)>,
    /// The step that the host works on: all that it may decide and pass by value.
    index: AtomicU64,
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    /// A stream for the bodies at each depth.
    bodies: Mutex<HashMap<usize, Arc<Stream>>>,
    events: Mutex<HashMap<String, Arc<Event>>>,
}

impl TomlStep {
    pub fn new(
        name: String,
        summary: String,
        modules: Vec<Module>,
        buffers: Vec<Buffer>,
        names: Names,
        memory: Option<ClosedForm>,
    ) -> Self {
        TomlStep {
            name,
            summary,
            modules,
            buffers,
            names,
            memory,
            work: Vec::new(),
            before: Vec::new(),
            index: AtomicU64::new(0),
            streams: Mutex::default(),
            bodies: Mutex::default(),
            events: Mutex::default(),
        }
    }

    /// With its work, in which every expression has a value at step 0, and with the scratch that Triton's
    /// kernels ask for.
    pub fn with_work(mut self, mut work: Vec<Work>, before: Vec<(Work, String)>) -> Result<Self, String> {
        let counts = self.modules.iter().flat_map(|module| parameter_counts(&module.ptx)).collect();
        let names = self.named(0);
        let mut scratch = Vec::new();
        work.iter().try_for_each(|one| self.flag_fits(one))?;
        for one in &mut work {
            complete(one, &names, &counts, &mut scratch)?;
        }
        self.buffers.extend(scratch.into_iter().map(|spec| Buffer { spec, layout: None, fill: None, dummy: None }));
        (self.work, self.before) = (work, before);
        Ok(self)
    }

    /// Whether the number of a conditional is one 32-bit number, in bodies too.
    fn flag_fits(&self, work: &Work) -> Result<(), String> {
        let What::Conditional { flag, bodies, .. } = &work.what else { return Ok(()) };
        let spec = self.buffers.iter().map(|buffer| &buffer.spec).find(|spec| spec.name == flag.as_str());
        let bytes = spec.and_then(BufferSpec::bytes).unwrap_or(0);
        if bytes != 4 {
            return Err(format!("{}: '{flag}' has {bytes} bytes; a condition is one 32-bit number", work.place));
        }
        bodies.iter().flatten().try_for_each(|one| self.flag_fits(one))
    }

    fn named(&self, index: u64) -> Names {
        let mut names = self.names.clone();
        names.insert("step".to_owned(), Value::Int(index.into()));
        names
    }

    fn enqueue(&self, cx: &mut StepContext<'_>, work: &[Work], names: &Names, depth: usize) -> StepResult<()> {
        // The step's own stream, or the body's.
        let home = cx.side();
        for one in work {
            let own = |text: String| said(text, "its own expressions", &one.place);
            if let Some(when) = &one.when
                && when.value(names).map_err(own)?.float() == 0.0
            {
                continue;
            }
            cx.at(Some(one.place.clone()));
            let stream = one
                .stream
                .as_ref()
                .map(|name| get(&self.streams, name, &one.place, || Stream::of(StreamKind::NonBlocking)));
            cx.on(stream.transpose()?.or_else(|| home.clone()));
            match &one.what {
                What::Launch(launch) => cx.launch(launched(launch, names).map_err(own)?)?,
                What::Memset { buffer, value } => {
                    cx.memset(buffer, value.whole(names, 0, 255).map_err(own)? as u8)?;
                }
                What::Copy { from, to } => cx.copy(to, from)?,
                What::Record(event) => cx.record_event(&*get(&self.events, event, &one.place, Event::new)?)?,
                What::Wait(event) => cx.wait_event(&*get(&self.events, event, &one.place, Event::new)?)?,
                What::Host(host) => self.host(cx, host, names, &one.place)?,
                What::Conditional { kind, flag, bodies } => {
                    let inner = get(&self.bodies, &depth, &one.place, || Stream::of(StreamKind::NonBlocking))?;
                    let count = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
                    cx.choose(*kind, flag, &inner, count, &mut |cx, number| {
                        self.enqueue(cx, &bodies[number as usize], names, depth + 1)
                    })?;
                }
            }
        }
        Ok(())
    }

    fn host(&self, cx: &mut StepContext<'_>, host: &Host, names: &Names, place: &Place) -> StepResult<()> {
        match host {
            Host::Synchronize => {
                // SAFETY: the handle is the stream's that the step was given or made.
                let result = unsafe { sys::cuStreamSynchronize(cx.stream()) };
                cx.check("cuStreamSynchronize", result)
            }
            Host::SynchronizeDevice => {
                // SAFETY: takes nothing.
                let result = unsafe { sys::cuCtxSynchronize() };
                cx.check("cuCtxSynchronize", result)
            }
            Host::Query => {
                // SAFETY: as for the synchronisation.
                let result = unsafe { sys::cuStreamQuery(cx.stream()) };
                let busy = result == sys::CUresult::CUDA_ERROR_NOT_READY;
                cx.check("cuStreamQuery", if busy { sys::CUresult::CUDA_SUCCESS } else { result })
            }
            Host::Read(buffer) => {
                let address = cx.address(buffer)?;
                let spec = self.buffers.iter().map(|buffer| &buffer.spec).find(|spec| spec.name == buffer.as_str());
                let mut bytes = vec![0u8; spec.and_then(BufferSpec::bytes).unwrap_or(0)];
                // SAFETY: the vector is as long as the buffer, and the call is done with it when it returns.
                let result = unsafe { sys::cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, bytes.len()) };
                cx.check("cuMemcpyDtoH_v2", result)
            }
            Host::Allocate(bytes) => {
                let own = |text: String| said(text, "its own expressions", place);
                let bytes = bytes.whole(names, 1, 1 << 40).map_err(own)? as usize;
                let mut address = 0;
                // SAFETY: the pointer is valid for the call. Nobody frees the memory: that is the plant.
                let result = unsafe { sys::cuMemAlloc_v2(&mut address, bytes) };
                cx.check("cuMemAlloc_v2", result)
            }
        }
    }
}

impl Step for TomlStep {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn modules(&self) -> Vec<Module> {
        self.modules.clone()
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        self.buffers.iter().map(|buffer| buffer.spec.clone()).collect()
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        self.fill(Role::Input, index, seed, inputs)
    }

    fn fill_dummy(&self, inputs: &mut HostBuffers) -> StepResult<bool> {
        let mut any = false;
        for (number, buffer) in self.buffers.iter().enumerate() {
            if let Some(dummy) = &buffer.dummy {
                buffer.write(dummy, (0, 0, number as u64), inputs.bytes_mut(&buffer.spec.name)?)?;
                any = true;
            }
        }
        Ok(any)
    }

    fn init_state(&self, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
        self.fill(Role::State, 0, seed, state)
    }

    fn prepare(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<()> {
        self.index.store(index, Ordering::Relaxed);
        let names = self.named(index);
        for (work, buffer) in &self.before {
            let value = work.when.as_ref().map_or(Ok(Value::Int(1)), |when| when.value(&names));
            if value.map_err(|text| said(text, "its own expressions", &work.place))?.float() != 0.0 {
                cx.reallocate_at(buffer, work.place.clone())?;
            }
        }
        Ok(())
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        let names = self.named(self.index.load(Ordering::Relaxed));
        let done = self.enqueue(cx, &self.work, &names, 0);
        cx.on(None);
        cx.at(None);
        done
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        self.memory.clone()
    }
}

impl TomlStep {
    fn fill(&self, role: Role, index: u64, seed: u64, images: &mut HostBuffers) -> StepResult<()> {
        for (number, buffer) in self.buffers.iter().enumerate() {
            if let Some(fill) = buffer.fill.as_ref().filter(|_| buffer.spec.role == role) {
                buffer.write(fill, (index, seed, number as u64), images.bytes_mut(&buffer.spec.name)?)?;
            }
        }
        Ok(())
    }
}

/// The stream or event of a name, made when it is first needed.
fn get<K: Hash + Eq + Clone, T>(
    map: &Mutex<HashMap<K, Arc<T>>>,
    name: &K,
    place: &Place,
    make: impl FnOnce() -> Result<T, CudaError>,
) -> StepResult<Arc<T>> {
    let mut map: MutexGuard<'_, _> = map.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = map.get(name) {
        return Ok(Arc::clone(found));
    }
    let made = Arc::new(make().map_err(|error| StepError::Cuda { error, place: place.clone() })?);
    map.insert(name.clone(), Arc::clone(&made));
    Ok(made)
}

fn said(text: String, what: &str, place: &Place) -> StepError {
    StepError::At { error: Box::new(StepError::Other(text)), what: what.to_owned(), place: place.clone() }
}

/// Evaluates what a piece of work says, and gives the launch of a Triton kernel the arguments that Triton
/// appends: the scratch of the grid, and that of a profiler, which is not there.
fn complete(
    work: &mut Work,
    names: &Names,
    counts: &HashMap<String, usize>,
    scratch: &mut Vec<BufferSpec>,
) -> Result<(), String> {
    if let Some(when) = &work.when {
        when.value(names)?;
    }
    match &mut work.what {
        What::Launch(launch) => {
            if let Some(triton) = &launch.triton {
                let missing =
                    counts.get(&launch.kernel).map_or(0, |count| count.saturating_sub(launch.arguments.len()));
                let zero =
                    || Argument::Value(graphproof_harness::dtype::DType::U64, crate::check::Expr::zero(&work.place));
                for position in 0..missing.min(2) {
                    if position == 0 && triton.global_scratch_size > 0 {
                        let blocks = launch.grid.iter().map(|extent| extent.whole(names, 1, u32::MAX.into()));
                        let blocks = blocks.product::<Result<u64, _>>()?;
                        let name = format!("{}.scratch.{}", launch.kernel, scratch.len());
                        let bytes = usize::try_from(blocks * triton.global_scratch_size).unwrap_or(usize::MAX);
                        let dtype = graphproof_harness::dtype::DType::Bytes;
                        scratch.push(BufferSpec::scratch(name.clone(), dtype, [bytes]));
                        launch.arguments.push(Argument::Buffer(name, None));
                    } else {
                        launch.arguments.push(zero());
                    }
                }
            }
            launched(launch, names).map(drop)
        }
        What::Memset { value, .. } => value.whole(names, 0, 255).map(drop),
        What::Host(Host::Allocate(bytes)) => bytes.whole(names, 1, 1 << 40).map(drop),
        What::Conditional { bodies, .. } => {
            bodies.iter_mut().flatten().try_for_each(|one| complete(one, names, counts, scratch))
        }
        _ => Ok(()),
    }
}

/// The launch with every expression evaluated.
fn launched(launch: &Launch, names: &Names) -> Result<context::Launch, String> {
    let extents = |list: &[crate::check::Expr]| {
        let mut extents = [1; 3];
        for (slot, extent) in extents.iter_mut().zip(list) {
            *slot = extent.whole(names, 0, u32::MAX.into())? as u32;
        }
        Ok::<_, String>(extents)
    };
    let triton = launch.triton.as_ref();
    let block = match triton.filter(|_| launch.block.is_empty()) {
        Some(triton) => [u32::try_from(32 * triton.num_warps).unwrap_or(u32::MAX), 1, 1],
        None => extents(&launch.block)?,
    };
    let shared = match &launch.shared {
        Some(shared) => shared.whole(names, 0, u32::MAX.into())?,
        None => triton.map_or(0, |triton| triton.shared),
    };
    let mut made = context::Launch::new(launch.kernel.clone()).grid(extents(&launch.grid)?).block(block);
    made = made.shared(u32::try_from(shared).unwrap_or(u32::MAX));
    if launch.cooperative {
        made = made.cooperative();
    }
    if launch.programmatic {
        made = made.programmatic();
    }
    for argument in &launch.arguments {
        made = match argument {
            Argument::Buffer(name, None) => made.buffer(name.clone()),
            Argument::Buffer(name, Some(offset)) => {
                made.buffer_at(name.clone(), offset.whole(names, 0, u64::MAX >> 1)?)
            }
            Argument::Value(dtype, expression) => {
                let bytes = encode(*dtype, expression.value(names)?);
                made.bytes(bytes.map_err(|why| format!("'{}': {why}", expression.text()))?)
            }
        };
    }
    Ok(made)
}
