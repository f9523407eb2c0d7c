#!/usr/bin/env bash
# Packs what tests/gpu/run.sh needs on a machine with a GPU and without Rust: the program, the driver
# library, the PTX, the tests that a GPU can run, the conformance cases.
#
#     tests/gpu/bundle.sh [--dev] [FILE]      default: a release build, into target/gpu-bundle.tar.gz
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "${1:-}" = --dev ]; then
    shift
    # As `cargo test` builds it, so that a run of the tests leaves nothing to build.
    built=target/debug library=$built/deps/libgraphproof_driver.so
    tests=(--workspace)
else
    built=target/release library=$built/libgraphproof_driver.so
    cargo build --release --locked --workspace --lib --bins
    tests=(--release -p graphproof-kernels --test reference --test hopper -p graphproof-harness --test compare_device)
fi
out=${1:-target/gpu-bundle.tar.gz}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/lib" "$folder/tests"
cargo test --locked "${tests[@]}" --no-run --message-format=json |
    python3 -c 'import json, shutil, sys
for line in sys.stdin:
    message = json.loads(line)
    name = message.get("target", {}).get("name")
    if message.get("executable") and name in ("reference", "hopper", "compare_device"):
        shutil.copy(message["executable"], f"{sys.argv[1]}/{name}")' "$folder/bin"
cp "$built/graphproof" "$folder/bin/"
cp "$library" "$folder/lib/"
# Names of functions stay; the program keeps its line tables, which name the lines of findings.
strip --strip-debug "$folder/bin/reference" "$folder/bin/hopper" "$folder/bin/compare_device" "$folder/lib/libgraphproof_driver.so"
cp -r tests/conformance "$folder/tests/"
cp -r snapshots "$folder/"
cp -r tests/gpu/{torch_bench,decode_bench,peers,recorder,alike,runtime,boxes}.py tests/gpu/trace tests/clients/runtime "$folder/"
cp driver/exec/tests/ptx/hopper/interleaved/h200.txt "$folder/boxes.txt"
git describe --always --abbrev=40 --dirty --exclude '*' >"$folder/revision" 2>/dev/null || true
tar -C "$folder" -czf "$out" .
du -h "$out"
