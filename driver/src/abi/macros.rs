//! The shape of an entry point: check the arguments, call one method of the safe model, write the
//! result. `entry_points!` puts the door around it.

/// Defines entry points of the C ABI.
///
/// ```text
/// entry_points! {
///     fn cuStreamQuery(hStream: CUstream) on hStream { … }   // `on`: the stream, for the record
///     fn cuInit(Flags: c_uint) { … }
/// }
/// ```
///
/// A body evaluates to `Cuda<()>`. The name stands in `driver/api/functions.txt`; `build.rs` finds the
/// body by its signature here and makes the `_ptsz` or `_ptds` form from it. Keep `fn cuName(` on one
/// line, and a brace or `on` behind the arguments.
macro_rules! entry_points {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(on $stream:ident $(($of:ident))?)? $body:block)*) => {$(
        #[doc = concat!("CUDA driver API `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// Pointer arguments must be null or valid for what CUDA documents.
        $(#[$meta])*
        #[unsafe(no_mangle)]
        // Every unsafe block of a body hands a caller's pointer to `abi::args`, under the contract
        // of this function's own safety section.
        #[allow(non_snake_case, clippy::too_many_arguments, clippy::undocumented_unsafe_blocks)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $crate::abi::CUresult {
            #[allow(unused_mut, unused_assignments)]
            let mut stream: Option<$crate::abi::types::CUstream> = None;
            $(stream = Some($stream $(($of))?);)?
            static DOOR: $crate::abi::door::Door = $crate::abi::door::Door::new(stringify!($name));
            let arguments = [$($crate::abi::args::word($arg)),*];
            $crate::abi::door::enter(&DOOR, stream, &arguments, || $body)
        }
    )*};
}

/// Defines an entry point for each name without a model.
macro_rules! unsupported_entry_points {
    ($($name:ident,)*) => {$(
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        extern "C" fn $name() -> $crate::abi::CUresult {
            static DOOR: $crate::abi::door::Door = $crate::abi::door::Door::new(stringify!($name));
            $crate::abi::door::unsupported(&DOOR)
        }
    )*};
}
