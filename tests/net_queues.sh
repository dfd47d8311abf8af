#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: queues on four CPUs
# lab-devices: net-tap
# lab-cpus: 4
# lab-timeout: 400
#
# rust_napi_net with 4 pairs of queues, and in a long run with 1, with 2, and with more asked for than there are: each
# pair has its vectors on a CPU of its own, sends what that CPU sends, and carries traffic; they poll at the same
# time; interrupts go where they are told to; CPUs come and go under load. What the queues count is what the
# device counts.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
counts="4"
[ -z "${LAB_LONG:-}" ] || counts="1 2 4 8"
plan $((19 + 9 * $(wc -w <<<"$counts")))

on_exit give "$net0"
cpus=/sys/devices/system/cpu
on_exit sh -c "for cpu in $cpus/cpu[1-9]*/online; do echo 1 >\$cpu; done"

ask() { python3 /lab/scripts/guest/bin/net-queues "$@"; }
irq_named() { awk -v name="virtio-$net0-$1" '$NF == name { sub(":", "", $1); print $1 }' /proc/interrupts; }
affinity() { cat "/proc/irq/$(irq_named "$1")/smp_affinity_list"; }
xps() { printf '%x\n' "0x$(tr -d , <"/sys/class/net/$nic/queues/tx-$1/xps_cpus")"; }
# A line `path.counter cpu value` each, with those that are 0 left out.
on_cpu() { awk -v name="$1" -v cpu="$2" '$1 == name && $2 == cpu { n = $3 } END { print n + 0 }' "$debugfs/$net0/percpu"; }

# Each CPU has a connection of its own, over which it sends and gets back what it has sent: by the queue of
# that CPU, to which the tap sends the answers.
echo_kib() {
	timeout 100 python3 - $peer_ip4 "$1" <<'END'
import os, socket, sys

def echo(cpu):
    os.sched_setaffinity(0, {cpu})
    with socket.create_connection((sys.argv[1], 7007)) as s:
        for _ in range(int(sys.argv[2]) // 8):
            # Less than the buffers on the way hold.
            sent = os.urandom(8192)
            s.sendall(sent)
            if s.recv(len(sent), socket.MSG_WAITALL) != sent:
                sys.exit(f"CPU {cpu}: something else came back")

children = []
for cpu in range(4):
    children.append(os.fork())
    if not children[-1]:
        echo(cpu)
        os._exit(0)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
END
}

# The interrupts and the queues of each pair are where they should be.
spread() {
	local pairs=$1 pair cpu mask
	for ((pair = 0; pair < pairs; pair++)); do
		[ "$(affinity rx$pair) $(affinity tx$pair)" = "$((pair % 4)) $((pair % 4))" ] || return
		[ $((16#$(tr -d , <"/proc/irq/$(irq_named rx$pair)/affinity_hint"))) -eq $((1 << pair % 4)) ] || return
		mask=0
		for ((cpu = 0; cpu < 4; cpu++)); do
			if [ $((cpu % pairs)) -eq $((pair % 4)) ]; then mask=$((mask | 1 << cpu)); fi
		done
		[ "$pairs" -eq 1 ] || [ "$(xps $pair)" = "$(printf %x $mask)" ] || return
	done
}
# The queues that have not counted a packet each way, and those that receive and are not known to be polled by an
# instance with their interrupt. (Instances that only send have no id by which the core could show them.)
idle_queues() {
	local pairs=$1 pair way napi
	ask qstats "$nic" >/run/qstats
	ask queues "$nic" >/run/queues
	ask napis "$nic" >/run/napis
	for ((pair = 0; pair < pairs; pair++)); do
		for way in rx tx; do
			awk -v way=$way -v queue=$pair '$1 == way && $2 == queue && $3 == "packets" && $4 > 0 { found = 1 } END { exit !found }' /run/qstats || echo "$way$pair"
		done
		napi=$(awk -v queue=$pair '$1 == "rx" && $2 == queue { print $4 }' /run/queues)
		grep -qx "$napi irq $(irq_named rx$pair) .*" /run/napis || echo "rx$pair: NAPI ${napi:-none}, but not with its interrupt"
	done
}
# What the counters of the device, of its queues and of our paths say; the same, if all is well.
agree() {
	local way counter sums
	for way in rx tx; do
		for counter in packets bytes; do
			sums=$(ask qstats "$nic" | awk -v way=$way -v counter=$counter '$1 == way && $3 == counter { n += $4 } END { print n + 0 }')
			[ "$sums" -eq "$(packets ${way}_$counter)" ] || return
		done
		sums=$(counters $net0 napi/$way items)
		[ "$sums" -eq "$(packets ${way}_packets)" ] || return
	done
}
differences() {
	ask qstats "$nic"
	grep -H . "/sys/class/net/$nic/statistics/"*x_{packets,bytes}
	grep items "$debugfs/$net0/stats"
	false
}

set_up queue_pairs=1
in_peer socat TCP-LISTEN:7007,fork,reuseaddr,backlog=64 PIPE &
on_exit kill $!
# 8 pairs are more than the device has.
for asked in $counts; do
	load queue_pairs="$asked"
	link $net0 || bail "no link"
	pairs=$((asked > 4 ? 4 : asked))
	assert_eq "$asked pairs asked for: $pairs" "$pairs" "$(field $net0 nic pairs)"
	assert_eq "$asked: a vector for each queue" per_queue "$(field $net0 nic vectors)"
	assert_eq "$asked: $((2 * pairs)) of queues, and one for changes of the device" $((2 * pairs + 1)) "$(grep -c "virtio-$net0-" /proc/interrupts)"
	check "$asked: the pairs are on their CPUs" spread $pairs
	check "$asked: every CPU gets back what it has sent" echo_kib "$(fewer 512 128)"
	assert_eq "$asked: every queue of every pair was used" "" "$(idle_queues $pairs)"
	settle $net0
	check "$asked: the counters agree" wait_for 10 agree || differences
	sound $net0
done

# At the same time: of the polls of two queues, one has begun before the other one has ended.
tracing=/sys/kernel/tracing/instances/net_queues
mkdir $tracing || bail "no tracing"
on_exit rmdir $tracing
echo mono >$tracing/trace_clock
echo 8192 >$tracing/buffer_size_kb
echo 1 >$tracing/events/irqkit/path_run/enable
echo 1 >"$debugfs/$net0/reset"
check "traffic on four CPUs" echo_kib "$(fewer 1024 256)"
echo 0 >$tracing/events/irqkit/path_run/enable
together() {
	python3 - $tracing/trace <<'END'
import re, sys
line = re.compile(r"\[(\d+)\].* (\d+\.\d+): path_run: .*path=(napi/rx\d+) .*run_ns=(\d+)")
polls = []
with open(sys.argv[1]) as trace:
    for cpu, end, path, took in (found.groups() for found in map(line.search, trace) if found):
        polls.append((float(end) - int(took) / 1e9, float(end), int(cpu), path))
polls.sort()
count = 0
for number, (begin, end, cpu, path) in enumerate(polls):
    for other in polls[number + 1 : number + 50]:
        if other[0] < end and other[2] != cpu and other[3] != path:
            count += 1
print(count)
END
}
assert_ge "two CPUs were polling at the same time" 1 "$(together)"
settle $net0
for cpu in 0 1 2 3; do
	assert_ge "CPU $cpu has polled its queue" 1 "$(on_cpu napi/rx$cpu.runs $cpu)"
done

# An interrupt goes where it is sent, and its polls with it.
for cpu in 3 2; do
	irq=$(irq_named rx1)
	if [ $cpu -eq 3 ]; then echo 8 >"/proc/irq/$irq/smp_affinity"; else echo 2 >"/proc/irq/$irq/smp_affinity_list"; fi
	assert_eq "both files say that rx1 is on CPU $cpu" "$((1 << cpu)) $cpu" "$((16#$(cat "/proc/irq/$irq/smp_affinity"))) $(affinity rx1)"
	# The move takes effect with an interrupt that arrives after it.
	echo_kib 64
	settle $net0
	for _ in 1 2 3 4 5; do
		echo 1 >"$debugfs/$net0/reset"
		before=$(irq_count "$irq" $cpu)
		[ "$(counter $net0 hardirq/rx1.runs)" -ne 0 ] || break
	done
	echo_kib 64 || bail "no traffic"
	settle $net0
	# Another frame may come while they are read, one after the other.
	for _ in 1 2 3 4 5; do
		runs=$(counter $net0 hardirq/rx1.runs)
		taken="$(on_cpu hardirq/rx1.runs $cpu) $(($(irq_count "$irq" $cpu) - before))"
		[ "$(counter $net0 hardirq/rx1.runs)" -ne "$runs" ] || break
	done
	assert_ge "rx1 has interrupted" 1 "$runs"
	assert_eq "CPU $cpu has taken all of them" "$runs $runs" "$taken"
	assert_ge "and polled" 1 "$(on_cpu napi/rx1.runs $cpu)"
done

# CPUs go and come under load.
serve || bail "no iperf3"
on_exit unserve
iperf3 -c $peer_ip4 -t 120 -P 4 --bidir >/dev/null 2>&1 &
load_pid=$!
status=0
for cpu in 1 3 2 1; do
	before=$(packets tx_packets)
	echo 0 >$cpus/cpu$cpu/online || status=1
	echo 1 >$cpus/cpu$cpu/online || status=1
	grown() { [ "$(packets tx_packets)" -gt "$before" ]; }
	wait_for 20 grown || status=1
done
assert_eq "CPUs go and come under load" 0 $status
kill $load_pid
wait $load_pid 2>/dev/null
check "then all is as it was" wait_for 10 spread 4
check "and every CPU gets back what it sends" echo_kib 256
sound $net0
