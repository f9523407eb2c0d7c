//! The exit codes of `graphproof`, as a type that other programs may use.

/// What an exit code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum ExitCode {
    /// Everything that was asked for ran, and there is no finding of severity error.
    Passed = 0,
    /// The run ended and there are findings.
    Findings = 1,
    /// The command line or the configuration is wrong: unknown step, impossible shape, unknown option.
    Usage = 2,
    /// Could not run: no driver of the kind asked for, or it is too old.
    NoDriver = 10,
    /// Could not run: the driver has no device.
    NoDevice = 11,
    /// Could not run: the device has not enough memory for the shape.
    OutOfMemory = 12,
    /// Could not run: the kernels do not load or compile, or their PTX is stale.
    Kernels = 13,
    /// Could not run: a file cannot be read or written.
    Io = 14,
    /// Could not run: the driver failed outside any step.
    Driver = 15,
    /// Could not judge: the program left no record of driver calls.
    NoRecord = 16,
    /// A fault of graphproof itself.
    Internal = 70,
    /// Stopped by Ctrl-C, SIGTERM or SIGHUP; what was asked for is written, and says so.
    Interrupted = 130,
}

impl ExitCode {
    /// All codes, in order.
    pub const ALL: [ExitCode; 12] = [
        ExitCode::Passed,
        ExitCode::Findings,
        ExitCode::Usage,
        ExitCode::NoDriver,
        ExitCode::NoDevice,
        ExitCode::OutOfMemory,
        ExitCode::Kernels,
        ExitCode::Io,
        ExitCode::Driver,
        ExitCode::NoRecord,
        ExitCode::Internal,
        ExitCode::Interrupted,
    ];

    /// One line for `--help` and for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            ExitCode::Passed => "passed: everything asked for ran, no finding",
            ExitCode::Findings => "findings: the run ended and something is not safe",
            ExitCode::Usage => "usage: unknown step, impossible shape, unknown option, wrong graphproof.toml",
            ExitCode::NoDriver => "could not run: no driver of the kind asked for, or too old",
            ExitCode::NoDevice => "could not run: the driver has no device",
            ExitCode::OutOfMemory => "could not run: the shape needs more memory than the device has",
            ExitCode::Kernels => "could not run: kernels do not load or compile, or their PTX is stale",
            ExitCode::Io => "could not run: a file cannot be read or written",
            ExitCode::Driver => "could not run: the driver failed outside any step",
            ExitCode::NoRecord => "could not judge: the program left no record of driver calls",
            ExitCode::Internal => "a fault of graphproof itself",
            ExitCode::Interrupted => "stopped by Ctrl-C, SIGTERM or SIGHUP",
        }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.code().into()
    }
}
