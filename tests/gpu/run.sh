#!/usr/bin/env bash
# Asks a real GPU everything that the software driver claims, and leaves small result files.
#
#     tests/gpu/run.sh BUNDLE OUT [--driver system|software] [--size full|small] [PART...]
#
# BUNDLE is what tests/gpu/bundle.sh packs. Each part runs under a watchdog; one that fails or hangs
# does not stop the others. OUT/summary.txt has a line a part; the exit code is 0 if all passed.
# With --driver software --size small it is a dry run on any machine.
set -uo pipefail
bundle=$(realpath "$1") out=$2
shift 2
driver=system size=full parts=()
while [ $# -gt 0 ]; do
    case $1 in
        --driver) driver=$2 && shift 2 ;;
        --size) size=$2 && shift 2 ;;
        *) parts+=("$1") && shift ;;
    esac
done
mkdir -p "$out" && out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf "$bundle" && cd "$work" || exit 1
# Receipts hold the arguments: files are named from here, so that no path of the machine gets in.
ln -s "$out" out
gp=$work/bin/graphproof
GRAPHPROOF_REVISION=$(cat revision 2>/dev/null) && export GRAPHPROOF_REVISION
: >"$out/summary.txt"
failed=0

# part NAME SECONDS COMMAND...: its output goes to OUT/NAME.txt.
part() {
    local name=$1 limit=$2 code last began=$SECONDS
    shift 2
    [ ${#parts[@]} -eq 0 ] || [[ " ${parts[*]} " == *" ${name%%.*} "* ]] || return 0
    timeout --kill-after=5 "$limit" "$@" >"$out/$name.txt" 2>&1
    code=$?
    [ $code -eq 0 ] || failed=1
    last=$(grep -v '^ *$' "$out/$name.txt" | tail -n 1 | cut -c 1-110)
    printf '%-22s exit %-3s %4s s   %s\n' "$name" "$code" "$((SECONDS - began))" "$last" | tee -a "$out/summary.txt"
}

# gate NAME LIMIT REPLAYS SHAPE [OPTION...]
gate() {
    local name=$1 limit=$2 steps=$3 shape=$4
    shift 4
    part "gate.$name" "$limit" "$gp" gate --driver "$driver" --steps "$steps" --shape "$shape" \
        --json "out/gate.$name.json" "$@"
}

# bits SIZE...: the same inputs on both drivers; the receipts' digests are compared.
bits() {
    part bits.system 90 "$gp" gate --driver "$driver" "$@" --no-geometry --json "out/bits.system.json"
    part bits.software 300 "$gp" gate --driver software "$@" --no-geometry --json "out/bits.software.json"
    part bits.compare 20 "$gp" diff out/bits.software.json out/bits.system.json --allow memory --allow topology
}

part doctor 20 "$gp" doctor --driver "$driver"
if [ "$size" = small ]; then
    gate default 120 16 sq=64
    bits --steps 4 --step fused --step decode
    part reference 200 env GRAPHPROOF_TEST_DRIVER="$driver" "$work/bin/reference" the_default_shape
    part compare 100 env GRAPHPROOF_TEST_DRIVER="$driver" "$work/bin/compare_device"
    part speed.small 60 "$gp" bench step --driver "$driver" --seconds 0 --shape sq=32,sk=64 --json "out/speed.small.json"
    part checks 120 "$gp" bench checks --driver "$driver" --steps 8
    part faults 300 "$gp" faults --driver "$driver" --filter S0 --json "out/faults.json"
    part conformance 300 "$gp" conformance --driver "$driver" --filter begin/ --json "out/conformance.json"
    part kernels 120 "$gp" kernels --driver "$driver" --against software --seeds 0..60 --record "out/kernels.txt"
    part boxes 120 env GRAPHPROOF_COMPUTE_CAPABILITY=9.0 python3 "$work/boxes.py" "$work/lib/libgraphproof_driver.so" "$work/boxes.txt"
    exit $failed
fi

# 1,000 replays of each lane, and of the variants on tensor cores.
gate default 120 1000 sq=64
# One receipt holds the geometry: its buffers take most of the device for a moment.
gate default-mma 60 1000 sq=64 --step fused-mma --no-geometry
gate hopper-default 60 1000 sq=64 --step fused-wgmma --step fused-fp8 --step decode-paged --no-geometry
for length in 8192 65536; do
    gate hopper-$length 150 1000 sq=512,sk=$length,h=64,d=128,topk=2048 --step fused-wgmma --step fused-fp8 --no-geometry
done
gate decode-131072 120 1000 sk=131072,h=64,d=128,topk=2048 --step decode --step decode-paged --no-geometry
# Every query: what the lanes achieve beside the peak, and beside the plain lane where its slab is not too long.
gate square-8192 120 4 sq=8192,sk=8192,h=64,d=128,topk=2048 --step materialized --step fused-wgmma --step fused-fp8 --no-geometry
gate square-32768 150 4 sq=32768,sk=32768,h=64,d=128,topk=2048 --step fused-wgmma --step fused-fp8 --no-geometry
gate medium 200 1000 sq=256,sk=2048,h=16,d=128,topk=512 --no-geometry
# The fused lane at lengths that the slab cannot reach; the longest takes over three minutes.
gate length-8192 60 1000 sq=512,sk=8192,h=16,d=128,topk=1024 --step fused --no-geometry
gate length-65536 420 1000 sq=65536,sk=65536,h=1,d=64,topk=1024 --step fused --no-geometry
bits --steps 64 --step materialized --step streamed --step fused --step decode
part reference 120 env GRAPHPROOF_TEST_DRIVER="$driver" "$work/bin/reference" --test-threads 1
part hopper 120 env GRAPHPROOF_TEST_DRIVER="$driver" "$work/bin/hopper" --test-threads 1
part compare 60 env GRAPHPROOF_TEST_DRIVER="$driver" "$work/bin/compare_device" --test-threads 1
part checks 60 "$gp" bench checks --driver "$driver" --steps 1000
part faults 240 "$gp" faults --driver "$driver" --json "out/faults.json"
part conformance 420 "$gp" conformance --driver "$driver" --json "out/conformance.json"
# Random kernels: what differs from the software driver is cut down and kept.
part kernels 180 "$gp" kernels --driver "$driver" --against software --seeds 0..3600 --cases "out/kernels" --record "out/kernels.txt"

# Boxes of interleaved tensor maps: whether they lie as the software driver has them.
[ "$driver" = software ] || part boxes 120 python3 "$work/boxes.py" libcuda.so.1 "$work/boxes.txt"

# C++ programs on NVIDIA's runtime: what they ask of ours.
[ "$driver" = software ] || part runtime 180 python3 "$work/runtime.py" "$work/runtime"

# Programs of PyTorch with one planted fault each, and without it.
[ "$driver" = software ] || part trace 300 python3 "$work/trace/run.py" "$gp" "$out/trace"
# Twenty programs with graphs, a compiled model and two processes, with and without the recorder.
[ "$driver" = software ] || part recorder 500 python3 "$work/alike.py" "$gp" "$out/recorder"
# What the recorder costs a call, and an eager loop of PyTorch.
part record 30 "$gp" bench record --driver "$driver"
[ "$driver" = software ] || part record.torch 200 "$gp" trace --driver "$driver" -- python3 "$work/recorder.py" speed 20

# Speed beside PyTorch, on the same inputs.
for length in 8192 16384 32768 65536; do
    shape=sq=$length,sk=$length,h=64,d=128,topk=2048
    dump=$work/dump && mkdir -p "$dump"
    # The plain lane beside the others, where its slab is not too long; that on CUDA cores takes seconds at long ones.
    plain=() && [ $length -gt 8192 ] || plain=(--step materialized --step fused)
    part "speed.$length" 150 "$gp" bench step --driver "$driver" --seconds 0 --shape "$shape" \
        "${plain[@]}" --step fused-fp8 --step fused-wgmma --step fused-mma --dump "$dump" --json "out/speed.$length.json"
    part "torch.$length" 120 python3 "$work/torch_bench.py" "$dump" "out/torch.$length.json"
    rm -rf "$dump"
done
for length in 8192 65536 131072; do
    for rows in 1 8 64; do
        [ $rows -eq 1 ] || [ $length -lt 131072 ] || continue
        name=decode-$length && [ $rows -eq 1 ] || name=decode-$length-rows-$rows
        part "speed.$name" 60 "$gp" bench step --driver "$driver" --seconds 1 --step decode --step decode-paged \
            --shape "sk=$length,b=$rows,h=64,d=128,topk=2048" --json "out/speed.$name.json"
        [ "$driver" = software ] || [ $rows -eq 64 ] || part "torch.$name" 90 python3 "$work/decode_bench.py" "$length" "$rows" "out/torch.$name.json"
    done
done
exit $failed
