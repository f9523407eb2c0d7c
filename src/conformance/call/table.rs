//! The calls whose arguments need no structure: made from the table of the driver API.
//!
//! A line spells every argument that the call takes, in order, and none of those that it writes to: a handle
//! or an address that it writes is what the line's variable takes, the rest is received and not looked at.
//! [`EXCEPTIONS`] says where a case spells less, or looks at more.

use graphproof_api::{Argument, Function, Role, select};

use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch};
use crate::conformance::expand::Step;

/// The CUDA version whose forms the names in case files mean: later forms of a call are spelled with their
/// suffix.
const VERSION: u32 = 12040;

/// What stands for one argument of a C function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The next argument of the line: a handle, an address, a number, a constant, a string.
    Given,
    /// The same; 0 where the line leaves it out.
    Optional,
    /// A number that the line does not spell.
    Fixed(u64),
    /// Receives what the line's variable takes.
    Made(Kind),
    /// Receives up to 64 bits that the answer shows.
    Shown,
    /// Receives something that no case looks at.
    Ignored,
}

/// A call: the exported symbol, and its arguments.
#[derive(Debug)]
struct Row {
    symbol: String,
    words: Vec<Word>,
}

/// Calls that a line spells otherwise than the table alone would have it: the name in case files, the exported
/// symbol, and one word an argument: `i` given, `i?` optional, `=N` fixed, `>` made (`>d` device memory), `#`
/// shown, `_` ignored.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("cuCtxCreate", "cuCtxCreate_v2", "> i? i?"),
    ("cuCtxEnablePeerAccess", "cuCtxEnablePeerAccess", "i i?"),
    ("cuCtxGetCurrent", "cuCtxGetCurrent", "_"),
    ("cuCtxGetDevice", "cuCtxGetDevice", "#"),
    ("cuCtxPopCurrent", "cuCtxPopCurrent_v2", "_"),
    ("cuDeviceCanAccessPeer", "cuDeviceCanAccessPeer", "# i i"),
    ("cuDeviceGetCount", "cuDeviceGetCount", "#"),
    ("cuDeviceGetGraphMemAttribute", "cuDeviceGetGraphMemAttribute", "i i #"),
    ("cuDeviceGetP2PAttribute", "cuDeviceGetP2PAttribute", "# i i i"),
    ("cuEventElapsedTime", "cuEventElapsedTime", "_ i i"),
    ("cuFuncGetParamInfo", "cuFuncGetParamInfo", "i i # #"),
    ("cuFuncIsLoaded", "cuFuncIsLoaded", "# i"),
    ("cuGetProcAddress_v2", "cuGetProcAddress_v2", "i > i i #"),
    ("cuGraphCreate", "cuGraphCreate", "> =0"),
    ("cuGraphExecGetFlags", "cuGraphExecGetFlags", "i #"),
    ("cuGraphInstantiate", "cuGraphInstantiateWithFlags", "> i i?"),
    ("cuGraphNodeGetEnabled", "cuGraphNodeGetEnabled", "i i #"),
    ("cuIpcGetEventHandle", "cuIpcGetEventHandle", "_ i"),
    ("cuIpcGetMemHandle", "cuIpcGetMemHandle", "_ i"),
    ("cuLibraryLoadData", "cuLibraryLoadData", "> i =0 =0 =0 =0 =0 =0"),
    ("cuMemAddressReserve", "cuMemAddressReserve", ">d i =0 =0 =0"),
    ("cuMemGetAddressRange", "cuMemGetAddressRange_v2", "_ _ i"),
    ("cuMemHostGetFlags", "cuMemHostGetFlags", "# i"),
    ("cuMemMap", "cuMemMap", "i i =0 i =0"),
    ("cuMemPoolGetAttribute", "cuMemPoolGetAttribute", "i i _"),
    ("cuModuleGetLoadingMode", "cuModuleGetLoadingMode", "_"),
    ("cuOccupancyMaxActiveBlocksPerMultiprocessor", "cuOccupancyMaxActiveBlocksPerMultiprocessor", "_ i i =0"),
    ("cuPointerGetAttribute", "cuPointerGetAttribute", "_ i i"),
    ("cuStreamGetCtx", "cuStreamGetCtx", "i _"),
    ("cuStreamGetDevice", "cuStreamGetDevice", "i #"),
    ("cuStreamGetFlags", "cuStreamGetFlags", "i #"),
    ("cuStreamWaitEvent", "cuStreamWaitEvent", "i i i?"),
];

/// Bytes given for an output that a case does not look at: more than any of them stores.
const IGNORED_OUTPUT: usize = 256;
/// Arguments that [`super::api::Entry::call`] can pass.
const MOST_ARGUMENTS: usize = 11;

/// The call that a case spells so. Made when it is asked for: a child process spells a few of a thousand.
fn row(name: &str) -> Option<Row> {
    if let Some((_, symbol, words)) = EXCEPTIONS.iter().find(|(spelled, ..)| *spelled == name) {
        return Some(Row { symbol: (*symbol).to_owned(), words: words.split_whitespace().map(word).collect() });
    }
    let function = if name == graphproof_api::base(name) {
        select(name, VERSION, false).or_else(|_| select(name, u32::MAX, false)).ok()?.function
    } else {
        graphproof_api::find(name).filter(|function| function.name == name)?
    };
    Some(Row { symbol: function.name.to_owned(), words: words(function)? })
}

/// A word of [`EXCEPTIONS`].
fn word(text: &str) -> Word {
    match text {
        "i" => Word::Given,
        "i?" => Word::Optional,
        ">" => Word::Made(Kind::Other),
        ">d" => Word::Made(Kind::Device),
        "#" => Word::Shown,
        "_" => Word::Ignored,
        fixed => Word::Fixed(fixed.trim_start_matches('=').parse().unwrap_or(0)),
    }
}

/// The words of a function; `None` where an argument is more than a word, or what it writes has no size that
/// is known here.
fn words(function: &Function) -> Option<Vec<Word>> {
    let arguments = function.arguments.as_deref()?;
    let mut made = false;
    let words = arguments.iter().map(|argument| match argument.role {
        Role::Out | Role::InOut => {
            argument.written_bytes()?;
            let kind = made_kind(argument).filter(|_| argument.role == Role::Out && !made);
            made |= kind.is_some();
            Some(kind.map_or(Word::Ignored, Word::Made))
        }
        _ => is_word(argument).then_some(Word::Given),
    });
    let words: Vec<Word> = words.collect::<Option<_>>()?;
    (words.len() <= MOST_ARGUMENTS).then_some(words)
}

/// What a line's variable is that takes what the argument points to.
fn made_kind(argument: &Argument) -> Option<Kind> {
    match argument.c_type.trim_end_matches('*').trim_end() {
        _ if argument.writes_a_number() => None,
        "CUdeviceptr" => Some(Kind::Device),
        "void" => Some(Kind::Host),
        _ => Some(Kind::Other),
    }
}

/// Whether an argument is passed as one integer word.
fn is_word(argument: &Argument) -> bool {
    let by_value = !argument.c_type.ends_with('*');
    !by_value || !(matches!(argument.c_type, "float" | "double") || argument.c_type.starts_with("CUipc"))
}

/// The fewest and the most arguments of a plain call, and whether it creates a value; `None` where
/// there is no such call.
pub fn arity(name: &str) -> Option<(usize, usize, bool)> {
    let words = row(name)?.words;
    let count = |wanted| words.iter().filter(|word| **word == wanted).count();
    let least = count(Word::Given);
    Some((least, least + count(Word::Optional), words.iter().any(|word| matches!(word, Word::Made(_)))))
}

/// Resolves a plain call's symbol and arguments.
///
/// # Errors
/// A missing symbol, or an argument that does not resolve.
pub fn prepare(env: &Env, step: &Step) -> Result<Prepared, Problem> {
    let Some(Row { symbol, words: signature }) = row(&step.call) else {
        return Err(Problem::Script(format!("`{}` is no known call", step.call)));
    };
    let entry = env.entry(&symbol)?;
    let mut words = Vec::new();
    let mut created = None;
    let mut shown = Vec::new();
    let mut next = 0;
    for word in signature {
        words.push(match word {
            Word::Given | Word::Optional => {
                next += 1;
                env.arg_or(step, next - 1, 0)?
            }
            Word::Fixed(number) => number,
            Word::Made(kind) => {
                let out = Scratch::new(8);
                created = Some((out, kind));
                out.address()
            }
            Word::Shown => {
                let out = Scratch::new(8);
                shown.push(out);
                out.address()
            }
            Word::Ignored => Scratch::new(IGNORED_OUTPUT).address(),
        });
    }
    Ok(Box::new(move || {
        // SAFETY: the row gives the entry point's arguments; outputs are leaked blocks that are large
        // enough, and what a case passes for the others is what the case is about.
        let code = unsafe { entry.call(&words) };
        let mut answer = match created {
            Some((out, kind)) => Answer::created(code, out.read(0), kind),
            None => Answer::code(code),
        };
        if code == 0 {
            for out in shown {
                answer.text.push_str(&format!(" {}", out.read(0)));
            }
        }
        answer
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_made_from_its_line_of_the_table() {
        let row = |name: &str| row(name).map(|row| (row.symbol, row.words));
        let (given, ignored) = (Word::Given, Word::Ignored);
        assert_eq!(row("cuMemFree"), Some(("cuMemFree_v2".to_owned(), vec![given])));
        assert_eq!(row("cuStreamCreate"), Some(("cuStreamCreate".to_owned(), vec![Word::Made(Kind::Other), given])));
        let pitched = vec![Word::Made(Kind::Device), ignored, given, given, given];
        assert_eq!(row("cuMemAllocPitch"), Some(("cuMemAllocPitch_v2".to_owned(), pitched)));
        assert_eq!(
            row("cuMemHostAlloc"),
            Some(("cuMemHostAlloc".to_owned(), vec![Word::Made(Kind::Host), given, given]))
        );
        assert_eq!(row("cuStreamGetPriority"), Some(("cuStreamGetPriority".to_owned(), vec![given, ignored])));
        // A later form by its own name; a structure needs a builder.
        assert_eq!(row("cuEventElapsedTime_v2"), None, "a float is written");
        assert_eq!(row("cuCtxSynchronize_v2"), Some(("cuCtxSynchronize_v2".to_owned(), vec![given])));
        assert_eq!(row("cuMemPoolCreate").map(|row| row.1.len()), Some(2));
        assert_eq!(row("cuDeviceGetName"), None, "as much is written as an argument says");
    }

    /// An exception that says what the table says is none.
    #[test]
    fn exceptions_are_exceptions() {
        for (name, symbol, text) in EXCEPTIONS {
            let function = graphproof_api::find(symbol).unwrap_or_else(|| panic!("{symbol} is in the table"));
            let spelled: Vec<Word> = text.split_whitespace().map(word).collect();
            let arguments = function.arguments.as_deref().map(<[_]>::len);
            assert_eq!(arguments, Some(spelled.len()), "{name}");
            let chosen = select(name, VERSION, false).is_ok_and(|choice| choice.function.name == *symbol);
            assert!(!chosen || words(function) != Some(spelled), "{name} is what the table says");
        }
    }

    /// A function with a body in the driver can be called by a case as soon as its line is in the table, unless
    /// it takes a structure or writes a list: those have a builder where a case needs one.
    #[test]
    fn every_modelled_function_of_plain_arguments_can_be_called() {
        let modelled = graphproof_driver::abi::SYMBOLS.iter().filter(|symbol| symbol.modelled);
        let (mut called, mut not) = (0, Vec::new());
        for function in modelled.filter_map(|symbol| graphproof_api::find(symbol.name)) {
            let plain = |argument: &Argument| match argument.role {
                Role::Out | Role::InOut => argument.written_bytes().is_some(),
                _ => is_word(argument),
            };
            let arguments = function.arguments.as_deref().unwrap_or_default();
            // The name means a later form; a case cannot spell this one.
            let hidden = select(function.name, VERSION, false).is_ok_and(|chosen| chosen.function != function);
            match (!hidden && arguments.iter().all(plain) && arguments.len() <= MOST_ARGUMENTS, arity(function.name)) {
                (true, None) => not.push(function.name),
                (_, Some(_)) => called += 1,
                _ => {}
            }
        }
        assert_eq!(not, Vec::<&str>::new());
        assert!(called > 250, "{called}");
    }
}
