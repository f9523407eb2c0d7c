//! Per-thread default streams: made when a thread first names its own, gone after the thread.

use std::collections::HashMap;
use std::sync::Weak;

use graphproof_scheduler::Engine;

use super::capture::CaptureStatus;
use super::execute::Task;
use super::{ContextId, StreamId, StreamKind, ThreadId, World};
use graphproof_api::{CUresult, Cuda};

/// The per-thread default streams of a context.
#[derive(Debug, Default)]
pub struct PerThread(HashMap<ThreadId, (u64, Weak<()>)>);

impl World {
    /// The calling thread's default stream in its current context.
    ///
    /// # Errors
    /// `CUDA_ERROR_CONTEXT_IS_DESTROYED`.
    pub fn per_thread_stream(&mut self) -> Cuda<StreamId> {
        let id = self.current_even_if_in_error()?.id;
        let context = self.contexts.get(id.0).ok_or(CUresult::CONTEXT_IS_DESTROYED)?;
        let thread = ThreadId::current();
        if let Some(&(key, _)) = context.per_thread.0.get(&thread) {
            return Ok(StreamId { key, kind: StreamKind::PerThread, context: id });
        }
        let engine = super::driver().engine.clone();
        self.forget_finished_threads(id, &engine);
        let stream = self.create_stream(id, StreamKind::PerThread, 0, 0, &engine);
        if let Some(context) = self.contexts.get_mut(id.0) {
            context.per_thread.0.insert(thread, (stream.key, ThreadId::life()));
        }
        Ok(stream)
    }

    /// Removes the streams of threads that have ended, once they are drained: a program that serves each
    /// request in a thread of its own would have one more for each, and every implicit wait would ask them
    /// all. Here and not where a thread ends, since no lock may be taken there.
    fn forget_finished_threads(&mut self, id: ContextId, engine: &Engine<Task>) {
        let Some(context) = self.contexts.get_mut(id.0) else { return };
        let capture = &self.capture;
        let mut gone = Vec::new();
        context.per_thread.0.retain(|_, (key, life)| {
            let stream = StreamId { key: *key, kind: StreamKind::PerThread, context: id };
            let idle = engine.is_drained(*key) && capture.stream_status(stream) == CaptureStatus::None;
            let keep = life.strong_count() > 0 || !idle;
            if !keep {
                gone.push(*key);
            }
            keep
        });
        for key in gone {
            context.leave(key, 0, engine);
            self.streams.remove(key);
            engine.close(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::StreamName;
    use crate::{Instance, Settings, driver};

    #[test]
    fn the_streams_of_threads_that_have_ended_go() {
        let instance = Instance::new(Settings::default());
        let _own = instance.enter();
        let context = driver().world().create_context(0, false, 0, &driver().engine);
        let touch = || {
            let _own = instance.enter();
            crate::context::with_stack(|stack| stack.push(context));
            driver().world().find_stream(StreamName::PerThread).map(|stream| stream.key)
        };
        let streams = || driver().world().contexts.get(context).map_or(0, |context| context.streams.len());
        std::thread::scope(|scope| {
            let (say, heard) = std::sync::mpsc::channel::<()>();
            let (said, hear) = std::sync::mpsc::channel();
            let living = scope.spawn(move || {
                let first = touch().expect("a context");
                said.send(first).expect("somebody listens");
                // Until the others are done.
                let _ = heard.recv();
                assert_eq!(touch(), Ok(first));
            });
            hear.recv().expect("the thread has its stream");
            for _ in 0..50 {
                let _ = scope.spawn(touch).join();
            }
            // The legacy stream, that of the living thread, and that of the thread which ended last.
            assert_eq!(streams(), 3);
            drop(say);
            let _ = living.join();
        });
    }
}
