#!/usr/bin/env bash
# Packs what tests/gpu/run.sh needs on a machine with a GPU and without Rust: the program, the driver
# library, the PTX, the tests that a GPU can run, the conformance cases.
#
#     tests/gpu/bundle.sh [--dev] [FILE]      default: a release build, into target/gpu-bundle.tar.gz
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=release
if [ "${1:-}" = --dev ]; then profile=dev && shift; fi
out=${1:-target/gpu-bundle.tar.gz}
built=target/${profile/dev/debug}

# The file of a test program: test_program PACKAGE TEST
test_program() {
    cargo test --profile "${profile/dev/test}" --locked -p "$1" --test "$2" --no-run --message-format=json |
        python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == sys.argv[1]:
        print(message["executable"])' "$2"
}

if [ "$profile" = release ]; then
    cargo build --release --locked --workspace --lib --bins
    library=$built/libgraphproof_driver.so
else
    # As `cargo test` builds it, so that a run of the tests leaves nothing to build.
    cargo test --locked --workspace --no-run
    library=$built/deps/libgraphproof_driver.so
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/lib" "$folder/kernels" "$folder/tests"
cp "$built/graphproof" "$folder/bin/"
cp "$(test_program graphproof-kernels reference)" "$folder/bin/reference"
cp "$(test_program graphproof-harness compare_device)" "$folder/bin/compare_device"
cp "$library" "$folder/lib/"
# Names of functions stay; the program keeps its line tables, which name the lines of findings.
strip --strip-debug "$folder/bin/reference" "$folder/bin/compare_device" "$folder/lib/libgraphproof_driver.so"
cp -r kernels/ptx "$folder/kernels/"
cp -r tests/conformance "$folder/tests/"
cp -r snapshots "$folder/"
cp tests/gpu/torch_bench.py "$folder/"
git rev-parse HEAD >"$folder/revision" 2>/dev/null || true
tar -C "$folder" -czf "$out" .
du -h "$out"
