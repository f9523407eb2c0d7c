#!/usr/bin/env bash
# Packs what tests/gpu/run.sh needs on a machine with a GPU and without Rust: the release program, the
# driver library, the PTX, the test of the lanes against the host reference, the conformance cases.
#
#     tests/gpu/bundle.sh [FILE]      default: target/gpu-bundle.tar.gz
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-target/gpu-bundle.tar.gz}

cargo build --release --locked --workspace --lib --bins
reference=$(cargo test --release --locked -p graphproof-kernels --test reference --no-run --message-format=json |
    python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "reference":
        print(message["executable"])')

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/lib" "$folder/kernels" "$folder/tests"
cp target/release/graphproof "$folder/bin/"
cp "$reference" "$folder/bin/reference"
# Names of functions stay; line tables are for those who debug graphproof itself.
strip --strip-debug "$folder/bin/reference"
cp target/release/libgraphproof_driver.so "$folder/lib/"
strip --strip-debug "$folder/lib/libgraphproof_driver.so"
cp -r kernels/ptx "$folder/kernels/"
cp -r tests/conformance "$folder/tests/"
cp -r snapshots "$folder/"
cp tests/gpu/torch_bench.py "$folder/"
git rev-parse HEAD >"$folder/revision" 2>/dev/null || true
tar -C "$folder" -czf "$out" .
du -h "$out"
