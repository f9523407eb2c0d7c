#!/usr/bin/env bash
# The interpreter's own memory: its execution tests under valgrind, so that an access outside a
# register file, or a use of bytes that nothing wrote, fails a test. Handlers write through raw
# pointers: nothing else would notice. Properties run on a part of their cases.
#
# The handlers are those for AVX2: valgrind knows no AVX-512.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { apt-get update -q && apt-get install -y -q valgrind; }

tests=(ptx_cases ptx_convergence ptx_general ptx_instructions ptx_memory ptx_programs ptx_special_registers ptx_widened)
export GRAPHPROOF_CASES_DIVISOR=${GRAPHPROOF_CASES_DIVISOR:-20}
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9"
cargo test -p graphproof-driver --locked "${tests[@]/#/--test=}"
