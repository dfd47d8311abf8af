#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: each mode of the driver
# lab-devices: net-tap
# lab-timeout: 600
#
# rust_napi_net in its modes: completion by a tasklet, vectors by each policy, threaded NAPI, busy polling,
# netpoll, GRO; what is copied, large datagrams, congestion bits, and notifications in batches.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 106

on_exit give "$net0"
BLOB_MIB=8
blob
traffic() {
	check "$1: the peer answers" reachable
	check "$1: out" checksum out
	check "$1: in" checksum in
}

set_up tx_completion=tasklet
traffic "completion by a tasklet"
assert_ge "it has run" 1 "$(counters $net0 tasklet/tx items)"
check_fails "there is no NAPI for that" counter $net0 napi/tx0.runs
sound $net0

for policy in per_queue per_pair shared intx; do
	load vectors=$policy
	link $net0 || bail "no link"
	assert_eq "vectors are as asked for" $policy "$(field $net0 nic vectors)"
	traffic "vectors=$policy"
	sound $net0
done

# Polls by a task of each instance, and how long they wait, beside those by the softirq.
load
link $net0 || bail "no link"
ask() { python3 /lab/scripts/guest/bin/net-queues "$@"; }
# How often the tasks of the device's NAPI instances have had to wait, all together.
switches() {
	local pid
	for pid in $(pgrep "^napi/$nic"); do awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$pid/status"; done |
		awk '{ n += $1 } END { print n + 0 }'
}
echo 1 >"$debugfs/$net0/timing"
waits() { cat "$debugfs/$net0/napi/"rx*/wait_ns | awk '$1 == "count" { n += $2 } END { print n + 0 }'; }
# Of each poll that an interrupt has asked for it is known how long it waited: how many that is not so of. What comes
# in between two of these counters is in one of them; so until it is the same twice.
unknown() {
	local last='' now
	while
		settle $net0
		now=$(($(counters $net0 hardirq/rx runs) - $(counters $net0 napi/rx coalesced) - $(waits)))
		[ "$now" != "$last" ]
	do last=$now; done
	echo "$now"
}
before=$(unknown) softirq=$(waits)
check "30 pings, polled by the softirq" ping -q -A -c 30 $peer_ip4
assert_eq "how long each poll that was asked for waited is known" "$before" "$(unknown)"
# One after the other; but where another frame comes beside an answer they may share a poll.
assert_ge "those are as many as the pings, or nearly" $((softirq + 20)) "$(waits)"
check_fails "there are no tasks for that" pgrep "^napi/$nic"
echo 1 >"/sys/class/net/$nic/threaded" || bail "no threaded NAPI"
assert_ge "with threaded NAPI there are" 4 "$(pgrep -c "^napi/$nic")"
assert_eq "user space is told which, of those that receive" 2 "$(ask napis "$nic" | grep -c pid)"
before=$(switches)
traffic "threaded NAPI"
known=$(unknown) task=$(waits)
check "30 pings, polled by a task" ping -q -A -c 30 $peer_ip4
assert_eq "how long each waited is known, too" "$known" "$(unknown)"
assert_ge "again of nearly as many as the pings" $((task + 20)) "$(waits)"
assert_ge "the tasks have worked for that" $((before + 30)) "$(switches)"
echo 0 >"/sys/class/net/$nic/threaded"
echo 0 >"$debugfs/$net0/timing"

# A task that waits for packets polls for them by itself.
polled() { nstat -asz TcpExtBusyPollRxPackets | awk '/BusyPoll/ { print $2 }'; }
echo 50 >/proc/sys/net/core/busy_read
echo 50 >/proc/sys/net/core/busy_poll
traffic "busy polling"
echo 0 >/proc/sys/net/core/busy_read
echo 0 >/proc/sys/net/core/busy_poll
in_peer socat UDP-LISTEN:7007,fork,reuseaddr PIPE &
on_exit kill $!
before=$(polled)
busy() {
	timeout 60 python3 - $peer_ip4 <<'END'
import socket, sys
# Without a timeout: with one, another function than recv() waits.
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect((sys.argv[1], 7007))
    # So many microseconds it looks itself; the first answer says where.
    s.setsockopt(socket.SOL_SOCKET, 46, 200000)
    for number in range(100):
        sent = b"%d" % number
        s.send(sent)
        if s.recv(100) != sent:
            sys.exit("another answer")
END
}
check "100 answers to a task that polls" busy
assert_ge "it has found some by polling" 10 $(($(polled) - before))
settle $net0

# The kernel's log over the network, by a queue that has room for two: when it is full, the one who logs has it
# cleaned, by a poll with a budget of 0.
load ring_size=2
link $net0 || bail "no link"
reachable || bail "no answer"
tracing=/sys/kernel/tracing/instances/net_modes
mkdir $tracing || bail "no tracing"
on_exit rmdir $tracing
echo 1 >$tracing/events/napi/napi_poll/enable
echo 1 >$tracing/events/workqueue/workqueue_execute_start/enable
in_peer socat -u -b 2048 UDP-RECV:6666,rcvbuf=1000000 STDOUT >/run/netconsole &
console=$!
listens() { in_peer ss -Hlun "sport = :6666" | grep -q .; }
wait_for 10 listens || bail "nobody listens"
stopped() { ask qstats "$nic" | awk -v what="$1" '$1 == "tx" && $3 == what { n += $4 } END { print n + 0 }'; }
# A kernel may have it built in, so it is not told by parameters of a module.
modprobe netconsole || bail "no netconsole"
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config || bail "no configfs"
target=/sys/kernel/config/netconsole/net_modes
mkdir $target || bail "no netconsole"
end_console() {
	[ ! -e $target ] || { echo 0 >$target/enabled && rmdir $target; }
}
on_exit end_console
echo "$nic" >$target/dev_name
echo $our_ip4 >$target/local_ip
echo $peer_ip4 >$target/remote_ip
in_peer cat "/sys/class/net/$peer_nic/address" >$target/remote_mac
echo 1 >$target/enabled || bail "netconsole does not begin"
# What netpoll can't send at once it leaves to a work item. It tries for a jiffy; on a busy host the device can
# take longer to look, but not every time.
waited() { grep -c "function queue_process" $tracing/trace; }
logged() { grep -aoE "line [0-9]+ of 200, round $round" /run/netconsole | sort -u | wc -l; }
all_logged() { [ "$(logged)" -eq 200 ]; }
for round in {1..10}; do
	echo >$tracing/trace
	for ((i = 0; i < 200; i++)); do echo "<1>net_modes: line $i of 200, round $round" >/dev/kmsg; done
	wait_for 30 all_logged || break
	[ "$(waited)" -gt 30 ] || break
done
assert_eq "200 lines of the kernel's log have come by netpoll" 200 "$(logged)"
assert_ge "it has polled with a budget of 0" 1 "$(grep -c "device $nic work 0 budget 0" $tracing/trace)"
assert_le "and made room: hardly a line had to wait" 30 "$(waited)"
assert_ge "as the queue was full" 1 "$(stopped stop)"
assert_eq "and was woken as often" "$(stopped stop)" "$(stopped wake)"
end_console
kill $console
echo 0 >$tracing/events/enable
check "it answers after that" reachable
sound $net0

# Segments that come one by one go up together: the stack counts fewer than the card.
in_peer ethtool -K "$peer_nic" tso off gso off || bail "the peer goes on with large segments"
load
link $net0 || bail "no link"
reachable || bail "no answer"
received() { nstat -asz IpInReceives | awk '/InReceives/ { print $2 }'; }
# How many frames of the card are one of the stack, in hundredths.
merged() {
	local frames up
	frames=$(packets rx_packets) up=$(received)
	checksum in || return
	echo $((100 * ($(packets rx_packets) - frames) / ($(received) - up)))
}
ethtool -K "$nic" gro on
assert_ge "with GRO" 150 "$(merged)"
ethtool -K "$nic" gro off
assert_le "without" 110 "$(merged)"
ethtool -K "$nic" gro on
# Those the device hands over in one frame, if it was agreed on so, the card counts.
agreed() { echo $(($(field $net0 nic features) >> $1 & 1)); }
large() { ask qstats "$nic" | awk '$1 == "rx" && $3 == "hw_gro_packets" { n += $4 } END { print n + 0 }'; }
assert_eq "none of them came in as one frame" 0 "$(large)"
in_peer ethtool -K "$peer_nic" tso on gso on
# VIRTIO_NET_F_GUEST_TSO4
assert_eq "it is agreed on that many may" 1 "$(agreed 7)"
frames=$(packets rx_packets) before=$(large)
check "large segments: in" checksum in
assert_ge "many came in as one frame" 10 $(($(large) - before))
# Of 1448 bytes each they would be twice as many at least.
assert_le "and so there were few frames" $((BLOB_MIB * 1024 * 1024 / 1448 / 2)) $(($(packets rx_packets) - frames))
settle $net0
assert_le "no more interrupts than frames" "$(packets rx_packets)" "$(counters $net0 hardirq/rx runs)"
sound $net0

# The buffer of a frame that is copied is posted again, and not one more is taken out of the pool: of those that are
# handed on, two fit in a page, and half a ring of 256 may wait to be filled. The card is new: its buffers are for
# frames of the MTU.
load
link $net0 || bail "no link"
reachable || bail "no answer"
pages() { ask pool-stats "$nic" | awk '$2 ~ /^alloc-(fast|slow|refill)$/ { n += $3 } END { print n + 0 }'; }
for size in 56 400; do
	before=$(pages)
	check "400 pings of $size bytes" ping -q -A -c 400 -s $size $peer_ip4
	taken=$(($(pages) - before))
	diag "$taken pages"
	case $size in
	56) assert_le "their answers are copied: no buffers are taken for them" 50 $taken ;;
	*) assert_ge "their answers are not, so they are" 100 $taken ;;
	esac
done
sound $net0

# Nothing is copied, and as much as can be.
for length in 0 1024; do
	load copybreak=$length
	link $net0 || bail "no link"
	traffic "copybreak=$length"
	sound $net0
done

# Many datagrams by one call, which the device cuts, if it can: fewer frames than datagrams. What the peer sends so
# comes in as one, and the socket gets each by itself.
load
link $net0 || bail "no link"
reachable || bail "no answer"
datagrams() {
	"${@:2}" timeout 200 python3 - "$1" <<'END'
import socket, sys
SIZE, COUNT, CALLS = 1000, 40, 20
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.IPPROTO_UDP, 103, SIZE)  # UDP_SEGMENT
    s.connect((sys.argv[1], 7009))
    s.settimeout(60)
    for call in range(CALLS):
        s.send(b"".join((call * COUNT + n).to_bytes(4, "big") * (SIZE // 4) for n in range(COUNT)))
        # The one who gets them says when it has all.
        s.recv(10)
END
}
collect() {
	"${@:2}" timeout 300 python3 - "$1" <<'END' &
import socket, sys
SIZE, COUNT, CALLS = 1000, 40, 20
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind((sys.argv[1], 7009))
    for call in range(CALLS):
        got = {}
        while len(got) < COUNT:
            data, sender = s.recvfrom(65536)
            got[int.from_bytes(data[:4], "big")] = data
        for n in range(call * COUNT, (call + 1) * COUNT):
            if got.get(n) != n.to_bytes(4, "big") * (SIZE // 4):
                sys.exit(f"datagram {n} is not what was sent")
        s.sendto(b"all", sender)
END
	collector=$!
}
bound() { "$@" ss -Hlun "sport = :7009" | grep -q .; }
in_peer_offloaded() { [ "$(in_peer ethtool -k "$peer_nic" | awk '/^tx-udp-segmentation:/ { print $2 }')" = on ]; }
offloaded() { [ "$(ethtool -k "$nic" | awk '/^tx-udp-segmentation:/ { print $2 }')" = on ]; }
if offloaded; then diag "the device cuts large datagrams"; else diag "the kernel cuts large datagrams: the device does not"; fi
for ip in $peer_ip4 $peer_ip6; do
	collect "$ip" in_peer
	wait_for 60 bound in_peer || bail "nobody listens"
	frames=$(packets tx_packets)
	check "800 datagrams out by 20 calls, $ip" datagrams "$ip"
	status=0
	wait $collector || status=$?
	assert_eq "and they are what they were" 0 $status
	most=$((800 + 60))
	if offloaded; then most=$((20 + 60)); fi
	assert_le "by no more frames than that takes" $most $(($(packets tx_packets) - frames))
done
# Where the kernel cuts them, it says of all frames of a call but the last that more will come, and so the device is
# notified once for all of them.
kicks() { awk '/^tx[0-9]+_kicks/ { n += $2 } END { print n }' "$debugfs/$net0/nic"; }
ethtool -K "$nic" tx-udp-segmentation off || bail "the device goes on cutting"
collect $peer_ip4 in_peer
wait_for 60 bound in_peer || bail "nobody listens"
frames=$(packets tx_packets) before=$(kicks)
check "800 datagrams out by 20 calls, as 800 frames" datagrams $peer_ip4
status=0
wait $collector || status=$?
assert_eq "and they are what they were" 0 $status
assert_ge "it was so many" 800 $(($(packets tx_packets) - frames))
assert_le "the device was notified of them 20 times, and of what the rest of the machine sends" 40 $(($(kicks) - before))
ethtool -K "$nic" tx-udp-segmentation on
for ip in $our_ip4 $our_ip6; do
	collect "$ip"
	wait_for 60 bound || bail "nobody listens"
	frames=$(packets rx_packets)
	check "800 datagrams in by 20 calls, $ip" datagrams "$ip" in_peer
	came=$(($(packets rx_packets) - frames))
	status=0
	wait $collector || status=$?
	assert_eq "and they are what they were" 0 $status
	# VIRTIO_NET_F_GUEST_USO4 and 6; a host that does not have that cuts them.
	bit=54
	[[ $ip != *:* ]] || bit=55
	if [ "$(agreed $bit)" -eq 1 ] && in_peer_offloaded; then
		assert_le "in no more frames than that takes" $((20 + 60)) $came
	else
		assert_ge "in a frame each: it is not agreed on that one is many" 800 $came
	fi
done

# Large segments with the bits of congestion.
ecn() { sysctl -qw net.ipv4.tcp_ecn="$1" && in_peer sysctl -qw net.ipv4.tcp_ecn="$1"; }
marked() { nstat -asz IpExtInECT0Pkts | awk '/ECT0/ { print $2 }'; }
ecn 1 || bail "no ECN"
before=$(marked) merged=$(large)
check "ECN: out" checksum out
check "ECN: in" checksum in
assert_ge "ECN: many came in as one frame" 10 $(($(large) - merged))
ecn 2
assert_ge "packets came with it" 100 $(($(marked) - before))
assert_eq "no errors, none dropped" "" "$(errors)"

sound $net0
