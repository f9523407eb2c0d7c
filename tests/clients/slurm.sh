#!/usr/bin/env bash
# Runs the job array of docs/ci.md on a real Slurm: one node on loopback, with two GPUs that are devices
# by name only, so that the script's own lines are read and scheduled; `graphproof` on the PATH of the jobs
# is the given program with the software driver.
#
#     tests/clients/slurm.sh PROGRAM
#
# Needs root and Debian's slurmctld, slurmd, slurm-client and munge, which it installs where they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "$1")
command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null && command -v sbatch >/dev/null || {
    apt-get update -q
    apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge
}

work=$(mktemp -d)
pids=()
finish() {
    local code=$?
    [ $code -eq 0 ] || tail -n 20 "$work"/*.log "$work"/*.out 2>/dev/null || true
    # Only what was started here.
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

# Munge will not have its files where others may write.
chmod 755 "$work"
mkdir -m 700 "$work/munge"
mkdir "$work/state" "$work/spool" "$work/bin" "$work/jobs"
head -c 1024 /dev/urandom >"$work/munge/key"
chmod 400 "$work/munge/key"
munged --foreground --force --socket="$work/munge.socket" --key-file="$work/munge/key" --num-threads=1 \
    --pid-file="$work/munge/pid" --seed-file="$work/munge/seed" --log-file="$work/munge/log" >"$work/munged.log" 2>&1 &
pids+=($!)

host=$(hostname -s)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cat >"$work/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=30
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=10 State=UP
CONF
printf 'Name=gpu File=/dev/%s\n' null zero >"$work/gres.conf"
# Without control groups; older releases have no word for that, and version 1 is not touched unless it is used.
version=$(slurmd -V | tr -dc '0-9.')
plugin=cgroup/v1
[ "$(printf '%s\n' 23.11 "$version" | sort -V | head -n 1)" != 23.11 ] || plugin=disabled
printf 'CgroupPlugin=%s\n' "$plugin" >"$work/cgroup.conf"
export SLURM_CONF=$work/slurm.conf
slurmctld -D -f "$SLURM_CONF" >"$work/slurmctld.log" 2>&1 &
pids+=($!)
slurmd -D -f "$SLURM_CONF" -N "$host" >"$work/slurmd.log" 2>&1 &
pids+=($!)

# The node is idle once both have found each other.
for _ in $(seq 100); do
    [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && break
    sleep 0.2
done
[ "$(sinfo --noheader --format=%T)" = idle ] || { echo "the node did not come up: $(sinfo 2>&1)"; exit 1; }

# The jobs' graphproof: there is no GPU, and nothing else of the script is changed.
cat >"$work/bin/graphproof" <<'SHIM'
#!/usr/bin/env bash
[ "$1 $2 $3" = "gate --driver system" ] || { echo "unexpected: $*"; exit 70; }
shift 3
exec "$PROGRAM" gate --driver software "$@"
SHIM
chmod +x "$work/bin/graphproof"
python3 tests/clients/snippets.py slurm >"$work/jobs/array.sh"
printf "steps = 2\nshapes = ['sq=4,sk=64,topk=8']\nseeds = [0, 1]\n" >"$work/jobs/graphproof.toml"
cd "$work/jobs"
PATH="$work/bin:$PATH" PROGRAM="$program" sbatch --wait --parsable --output="$work/%a.out" array.sh

# Each part judged its own job, and together they are the suite.
"$program" merge whole.json part-*.json
"$program" report whole.json | tail -n 1 | tee "$work/last"
grep -q '^PASS: 8 jobs' "$work/last"

# A job that Slurm cancels leaves its receipt, marked.
printf '#!/bin/bash\ngraphproof gate --driver system --steps 1000000000 --step fused --json cancelled.json --events events.jsonl\n' >cancelled.sh
job=$(PATH="$work/bin:$PATH" PROGRAM="$program" sbatch --parsable --gres=gpu:1 --output="$work/cancelled.out" cancelled.sh)
for _ in $(seq 150); do
    grep -qs '"event":"progress"' events.jsonl && break
    sleep 0.2
done
scancel "$job"
for _ in $(seq 150); do
    [ -z "$(squeue --noheader --job "$job" 2>/dev/null)" ] && break
    sleep 0.2
done
code=0
"$program" report cancelled.json >"$work/cancelled.txt" || code=$?
[ $code -eq 130 ] && grep -q '^INTERRUPTED: ' "$work/cancelled.txt"
echo "Slurm: 8 parts of one suite, and a job that was cancelled"
