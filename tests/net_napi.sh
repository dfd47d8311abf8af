#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the settings of each instance
# lab-devices: net-tap
# lab-may-skip: this kernel has no BTF
# lab-timeout: 120
#
# What user space is told of the NAPI instances of rust_napi_net, and what it can set of each: it does what it
# says, and belongs to the queue. Ids and settings are the same when the card was taken down and up again.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 27

on_exit give "$net0"
ask() { python3 /lab/scripts/guest/bin/net-queues "$@"; }
irq_named() { awk -v name="virtio-$net0-$1" '$NF == name { sub(":", "", $1); print $1 }' /proc/interrupts; }
id_of() { ask queues "$nic" | awk -v queue="$1" '$1 == "rx" && $2 == queue { print $4 }'; }
told() { ask napis "$nic" | sort -n; }
interrupts() { counters $net0 hardirq/rx runs; }
down_and_up() { ip link set "$nic" down && link $net0 && reachable; }
# How many interrupts 50 pings take, each of which has its answer before the next.
pings() {
	local before
	settle $net0
	before=$(interrupts)
	ping -q -c 50 -i 0.02 $peer_ip4 >/dev/null || return
	echo $(($(interrupts) - before))
}

set_up
reachable || bail "the peer does not answer"
rx0=$(id_of 0) rx1=$(id_of 1)
assert_match "each queue that receives has an instance" '^[0-9]+ [0-9]+$' "$rx0 $rx1"
assert_ne "of its own" "$rx0" "$rx1"
none="threaded 0 defer-hard-irqs 0 gro-flush-timeout 0 irq-suspend-timeout 0"
for queue in 0 1; do
	assert_match "that of rx$queue, its interrupt, and nothing set" "(^|.)$(id_of $queue) irq $(irq_named rx$queue) $none" "$(told | tr '\n' ' ')"
done
assert_ge "50 pings interrupt" 25 "$(pings)"

# Interrupts stay off until nothing came for so many times; a timer polls meanwhile.
check "rx0: interrupts put off" ask set "$rx0" defer-hard-irqs=400 gro-flush-timeout=5000000 irq-suspend-timeout=7000000
check "rx1: put off, too, and polled by a task" ask set "$rx1" defer-hard-irqs=300 gro-flush-timeout=6000000 threaded=1
before=$(told)
assert_match "the settings of rx0 are its own" \
	"(^|.)$rx0 irq $(irq_named rx0) threaded 0 defer-hard-irqs 400 gro-flush-timeout 5000000 irq-suspend-timeout 7000000" "$(tr '\n' ' ' <<<"$before")"
assert_match "and so are those of rx1" \
	"(^|.)$rx1 irq $(irq_named rx1) threaded 1 defer-hard-irqs 300 gro-flush-timeout 6000000 irq-suspend-timeout 0 pid" "$(tr '\n' ' ' <<<"$before")"
assert_le "50 pings hardly interrupt" 10 "$(pings)"

check "down" ip link set "$nic" down
assert_eq "what is down has no instances to show" "" "$(told)"
check "up" link $net0
check "it answers" reachable
assert_eq "it has the ids and the settings that it had" "$before" "$(told)"
assert_le "which still do what they say" 10 "$(pings)"

# What the core itself has of all instances, when it polls them: when the card is taken up each is polled once.
if [ -e /sys/kernel/btf/vmlinux ] && command -v bpftrace >/dev/null; then
	for way in rx tx; do for queue in 0 1; do irq_named $way$queue; done; done | sort -n >/run/irqs
	echo "ip link set $nic down && ip link set $nic up" >/run/go
	# shellcheck disable=SC2016 # bpftrace's
	timeout 100 bpftrace -o /run/polled -c "/bin/sh /run/go" -e 'rawtracepoint:napi_poll {
		$napi = (struct napi_struct *)arg0;
		if ($napi->dev->name == str($1)) { @irqs[$napi->irq] = count(); }
	}' "$nic" || bail "bpftrace does not run"
	assert_eq "the core knows the interrupt of each, those that send among them" \
		"$(cat /run/irqs)" "$(sed -nE 's/^@irqs\[(-?[0-9]+)\].*/\1/p' /run/polled | sort -n)"
else
	skip "the core knows the interrupt of each, those that send among them" "this kernel has no BTF"
fi
link $net0 || bail "no link"
ask set "$rx0" defer-hard-irqs=0
ask set "$rx1" defer-hard-irqs=0 threaded=0

# What the device is asked to do with frames is counted as it is asked. The bytes and packets are counted when they
# are done with.
BLOB_MIB=2
blob
asked() {
	ask qstats "$nic" | awk '$1 == "tx" { n[$3] += $4 }
		END { print n["hw_gso_packets"], n["hw_gso_bytes"], n["needs_csum"], n["csum_none"], n["packets"], n["bytes"] }'
}
# All is done with, and nobody sends just now.
still() {
	local now
	settle $net0
	now=$(asked)
	! grep -qvx 0 "/sys/class/net/$nic/queues/"tx-*/byte_queue_limits/inflight && sleep 0.2 && [ "$(asked)" = "$now" ]
}
# How much each has grown by what is sent.
grown() {
	local before after
	wait_for 20 still || return
	before=$(asked)
	checksum out || return
	wait_for 20 still || return
	after=$(asked)
	paste -d ' ' <(tr ' ' '\n' <<<"$before") <(tr ' ' '\n' <<<"$after") | awk '{ print $2 - $1 }' | xargs
}
reachable || bail "the peer does not answer"
read -r cut cut_bytes computed as_is sent sent_bytes < <(grown)
diag "large frames: cut $cut of $cut_bytes bytes, checksums $computed, none $as_is, sent $sent of $sent_bytes bytes"
assert_ge "the device was asked to cut frames" 1 "$cut"
assert_ge "they are most of what was sent" $((1 << 20)) "$cut_bytes"
assert_le "and not more" "$sent_bytes" "$cut_bytes"
assert_ge "it computes a checksum for each piece" $((2 * cut)) "$computed"
ethtool -K "$nic" tso off gso off || bail "the card goes on with large frames"
read -r cut _ computed as_is sent _ < <(grown)
assert_eq "without that none is cut" 0 "$cut"
assert_ge "but each has its checksum computed" 1000 "$computed"
assert_eq "or had it: all are counted" "$sent" $((computed + as_is))
ethtool -K "$nic" tx off || bail "the card goes on with checksums"
read -r cut _ computed as_is sent _ < <(grown)
assert_eq "without that none" "0 0 $sent" "$cut $computed $as_is"
ethtool -K "$nic" tx on tso on gso on
sound $net0
