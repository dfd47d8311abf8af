#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the tracing scripts
# lab-timeout: 180
# lab-may-skip: this kernel has no BTF
#
# The tracing scripts of scripts/trace: slow handlers, and how work items are executed.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 20

load_timer
scripts=/lab/scripts/trace
go=$(mktemp)
out=$(mktemp)
on_exit rm -f "$go" "$out"

# A burst of 50 that sleep, and 50 more that compute.
cat >"$go" <<EOF
echo 0 >$(wq $timer cost_us)
echo 50000 >$(wq $timer sleep_us)
echo 50 >$(wq $timer burst)
echo 1 >$(wq $timer flush)
EOF
set_up percpu cpu 0
check "workqueues runs a command" sh -c "$scripts/workqueues sh $go >$out"
row=$(grep -E 'rwq0_percpu ' "$out")
diag "$(head -n 8 "$out")"
assert_eq "it shows each item queued and started" "50 50" "$(awk '{ print $1, $2 }' <<<"$row")"
assert_ge "how long it ran" 50000 "$(awk '{ print int($5) }' <<<"$row")"
assert_ge "how many ran at a time" 10 "$(awk '{ print $7 }' <<<"$row")"
assert_eq "by a worker each" "$(of_burst workers)" "$(awk '{ print $8 }' <<<"$row")"
assert_eq "on which CPU" 0 "$(awk '{ print $9 }' <<<"$row")"
check_fails "it fails as the command does" "$scripts/workqueues" false
check "it leaves nothing behind" sh -c '! ls /sys/kernel/tracing/instances | grep .'

# The disk of the lab interrupts; and every handler is slow if none may take a microsecond.
check "slow-handlers runs a command" sh -c "$scripts/slow-handlers -t 0 dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct >$out"
diag "$(head -n 8 "$out")"
row=$(awk '/virtio[0-9]+-req/ { print; exit }' "$out")
assert_match "it shows the disk's interrupt by its name" 'virtio[0-9]+-req' "$row"
assert_ge "each of its handlers" 100 "$(awk '{ n += $1 } END { print n + 0 }' <<<"$(grep -E 'virtio[0-9]+-req' "$out")")"
assert_eq "each of them slow" "$(awk '{ print $1 }' <<<"$row")" "$(awk '{ print $4 }' <<<"$row")"
check "none is, if it may take a second" sh -c "$scripts/slow-handlers -t 1000000 dd if=/dev/vda of=/dev/null bs=4k count=50 iflag=direct >$out"
assert_eq "and so it says" 0 "$(awk 'NR > 1 { n += $4 } END { print n + 0 }' "$out")"
check_fails "it refuses what is no number" "$scripts/slow-handlers" -t much true

# The same by bpftrace, where the kernel has what that needs.
if [ -e /sys/kernel/btf/vmlinux ] && command -v bpftrace >/dev/null; then
	check "workqueues.bt runs" timeout 60 bpftrace -o "$out" -c "/bin/sh $go" $scripts/workqueues.bt
	assert_ge "it counts our items" 50 "$(sed -nE 's/^@items\[.*irqkit.*\]: ([0-9]+)$/\1/p' "$out" | sort -rn | head -n 1)"
	check "it has their times" sh -c "grep -q '^@run_us\[.*irqkit' $out && grep -q '^@wait_us\[.*irqkit' $out"
	echo "dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null" >"$go"
	check "slow-handlers.bt runs" timeout 60 bpftrace -o "$out" -c "/bin/sh $go" $scripts/slow-handlers.bt 1
	assert_ge "it counts handlers" 100 "$(awk '/^@handlers\[/ { n += $2 } END { print n + 0 }' "$out")"
else
	for name in "workqueues.bt runs" "it counts our items" "it has their times" "slow-handlers.bt runs" "it counts handlers"; do
		skip "$name" "this kernel has no BTF"
	done
fi
