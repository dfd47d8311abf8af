# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# In the guest: two network cards, one of which is tried, while the other is its peer, by the kernel's own
# driver in a network namespace. Source it.
#
#   nic_of DEVICE          the name of a PCI function's network device; waits for it
#   make_peer [DEVICE]     moves the peer (0000:00:0f.0) to the namespace `peer`, and gives it its addresses
#   no_peer                gives it back
#   in_peer CMD...         runs a command there
#   keep_timestamps        has the kernel note when packets come in, until the guest ends. Else each ping turns that on and
#                          off, which patches code: QEMU's threads can't stand that beside traffic (docs/design.md)
#   link DEVICE [MTU]      gives a card its addresses and takes it up; sets `nic`, its name
#   reachable [IP]         whether the peer answers, by either version of IP; waits for it
#   serve                  has the peer serve iperf3, and ends that
#   unserve
#   stream [OPTION]...     runs iperf3 against the peer; prints Mbit/s received, at both ends; fails if any stream does, if
#                          nothing came one way, or if more than STREAM_LOST (99) percent of the datagrams did not
#   blob                   makes what `checksum` sends; random, of BLOB_MIB (64)
#   checksum out|in [IP]   sends it over TCP, to the peer or from it, and compares
#   wrong_sums             how many packets with a wrong checksum have come, at both ends; fails if that is not known
#   no_wrong_sums BEFORE   whether there are as many as there were, and says so if not
#   errors                 statistics of errors and of what was dropped that are not 0, of `nic`
#   no_errors BEFORE       whether they are as they were, and says so if not
#   complaints MARK        lines of the kernel's log since the one with MARK that should not be there: what splat.sh
#                          calls so, which is to be sourced, too, and what a driver of a network card says
#
# shellcheck disable=SC2034 # who sources it uses them
our_ip4=10.7.0.1 our_ip6=fd07::1 peer_ip4=10.7.0.2 peer_ip6=fd07::2
net_pci=/sys/bus/pci/devices
blob=/run/blob

nic_of() {
	local i name
	for ((i = 0; i < 100; i++)); do
		for name in "$net_pci/$1"/net/* "$net_pci/$1"/virtio*/net/*; do
			[ ! -e "$name" ] || {
				echo "${name##*/}"
				return
			}
		done
		sleep 0.1
	done
	echo "$1 has no network device" >&2
	return 1
}

in_peer() { ip netns exec peer "$@"; }

# Without duplicate address detection an address can be used at once.
addresses() {
	local where=$1 nic=$2 ip4=$3 ip6=$4
	ip ${where:+-n "$where"} addr replace "$ip4/24" dev "$nic" &&
		ip ${where:+-n "$where"} -6 addr replace "$ip6/64" dev "$nic" nodad
}

# shellcheck disable=SC2120 # the argument is optional
make_peer() {
	local device=${1:-0000:00:0f.0}
	modprobe virtio_net || return
	if ! ip netns list | grep -qw peer; then
		ip netns add peer || return
	fi
	# It may be there from before.
	peer_nic=$(in_peer ls /sys/class/net | grep -vx lo | head -n 1 || :)
	[ -n "$peer_nic" ] || {
		peer_nic=$(nic_of "$device") || return
		ip link set "$peer_nic" netns peer || return
	}
	addresses peer "$peer_nic" $peer_ip4 $peer_ip6 &&
		ip -n peer link set lo up && ip -n peer link set "$peer_nic" up
}

no_peer() {
	local name
	peer_nic=
	[ -e /run/netns/peer ] || return 0
	# A namespace lives as long as somebody is in it, and keeps what it has.
	ip netns pids peer | xargs -r kill 2>/dev/null || :
	for name in $(in_peer ls /sys/class/net | grep -vx lo); do
		ip -n peer link set "$name" netns 1 || :
	done
	ip netns del peer
}

keep_timestamps() {
	local i
	# Its port, 9997, says that it is there.
	for ((i = 0; i < 100; i++)); do
		! grep -q ':270D ' /proc/net/udp || return 0
		if [ "$i" -eq 0 ]; then socat -u UDP4-RECV:9997,so-timestamp OPEN:/dev/null </dev/null >/dev/null 2>&1 & fi
		sleep 0.1
	done
	return 1
}

link() {
	nic=$(nic_of "$1") || return
	if [ -n "${2:-}" ]; then
		ip link set "$nic" mtu "$2" && ip -n peer link set "$peer_nic" mtu "$2" || return
	fi
	ip link set "$nic" up && addresses "" "$nic" $our_ip4 $our_ip6
}

# shellcheck disable=SC2120 # the argument is optional
reachable() {
	local i ip
	for ip in ${1:-$peer_ip4 $peer_ip6}; do
		for ((i = 0; ; i++)); do
			! ping -q -c 1 -W 1 "$ip" >/dev/null 2>&1 || break
			[ "$i" -lt 30 ] || return
		done
	done
}

# The thread of iperf3 that watches the time goes before those of the streams, and reports at the end only: among 64
# of them a test of one minute takes three else, and the server cuts it off.
before_streams="--reset-on-fork --fifo"

serve() {
	in_peer iperf3 --server --daemon --interval 0 --pidfile /run/iperf3.pid --logfile /run/iperf3.log || return
	local i
	for ((i = 0; i < 100; i++)); do
		! in_peer ss -Hltn "sport = :5201" | grep -q . || {
			# shellcheck disable=SC2086 # words
			chrt $before_streams --pid 1 "$(tr -d '\0' </run/iperf3.pid)"
			return
		}
		sleep 0.1
	done
	return 1
}

unserve() {
	[ ! -s /run/iperf3.pid ] || kill "$(tr -d '\0' </run/iperf3.pid)" 2>/dev/null || :
	rm -f /run/iperf3.pid
}

# A receiver counts whole blocks: of the usual 128 KiB a slow stream has none in a second, whoever drives the card.
small_blocks="-l 4K"

stream() {
	# shellcheck disable=SC2086 # words
	chrt $before_streams 1 iperf3 --client "${STREAM_IP:-$peer_ip4}" --interval 0 --json "$@" >/run/stream.json 2>/run/stream.err
	python3 - "$@" <<'EOF' && return
import json, os, sys
with open("/run/stream.json") as file:
    result = json.load(file)
if "error" in result:
    sys.exit("iperf3: " + result["error"])
end = result["end"]
totals = [end[name] for name in ("sum_received", "sum_received_bidir_reverse") if name in end]
if len(totals) != 1 + ("--bidir" in sys.argv):
    sys.exit("iperf3: it is not known what came")
# Of a stream of datagrams iperf3 tells what was sent only, of all of them together what came.
for stream in end["streams"]:
    if not (stream.get("receiver") or stream["udp"])["bytes"]:
        sys.exit("iperf3: a stream without a byte")
for total in totals:
    if not total["bytes"]:
        sys.exit("iperf3: nothing came")
    if total.get("lost_percent", 0) > float(os.environ.get("STREAM_LOST") or 99):
        sys.exit(f"iperf3: {total['lost_packets']} of {total['packets']} datagrams did not come")
print(round(sum(total["bits_per_second"] for total in totals) / 1e6))
EOF
	echo "the server:" >&2
	tail -n 4 /run/iperf3.log >&2
	return 1
}

blob() {
	[ -s $blob ] || head -c "${BLOB_MIB:-64}M" /dev/urandom >$blob
	blob_sum=$(md5sum <$blob)
}

# The peer listens, whichever way the bytes go; not for ever if nobody comes.
checksum() {
	local way=$1 ip=${2:-$peer_ip4} family=4 sum='' listen peer
	[[ $ip != *:* ]] || family=6 ip="[$ip]"
	listen=TCP$family-LISTEN:7000,reuseaddr
	# In no function, so that it is what is killed.
	if [ "$way" = out ]; then
		ip netns exec peer timeout 300 socat -u "$listen" STDOUT >/run/sum.blob &
	else
		ip netns exec peer timeout 300 socat -u FILE:$blob "$listen" &
	fi
	peer=$!
	if [ "$way" = out ]; then
		timeout 300 socat -u FILE:$blob "TCP$family:$ip:7000,retry=50,interval=0.1" &&
			wait $peer && sum=$(md5sum </run/sum.blob)
	else
		sum=$(set -o pipefail && timeout 300 socat -u "TCP$family:$ip:7000,retry=50,interval=0.1" STDOUT | md5sum) &&
			wait $peer
	fi
	rm -f /run/sum.blob
	[ "$sum" = "$blob_sum" ] || {
		kill $peer 2>/dev/null
		echo "checksum: $sum came instead of $blob_sum" >&2
		return 1
	}
}

# What we send wrong is seen at the peer's end only.
wrong_sums() {
	local found
	local names="IpExtInCsumErrors IcmpInCsumErrors Icmp6InCsumErrors TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors"
	# shellcheck disable=SC2086 # several
	found=$(nstat -asz $names && in_peer nstat -asz $names) || return
	awk '$1 ~ /Csum/ { count++; sum += $2 } END { print sum + 0; exit count != 12 }' <<<"$found" || {
		echo "wrong_sums: nstat does not have them all" >&2
		return 1
	}
}

no_wrong_sums() {
	local after
	after=$(wrong_sums) || return
	[ "$after" -eq "$1" ] || {
		echo "$((after - $1)) wrong checksums" >&2
		return 1
	}
}

errors() {
	local file
	for file in "/sys/class/net/$nic/statistics/"*{err,drop,_over}*; do
		[ "$(cat "$file")" -eq 0 ] || echo "${file##*/} $(cat "$file")"
	done
}

no_errors() {
	local after
	after=$(errors)
	[ "$after" = "$1" ] || {
		echo "errors of $nic: ${1:-none}, then ${after:-none}" | paste -sd ' ' >&2
		return 1
	}
}

# A driver has nothing to say of a card that works, but that it is there, and that it does without what the card does
# not have the rest of.
complaints() {
	# shellcheck disable=SC2154 # splat.sh's
	log_since "$1" | grep -E "$splat|(irqkit|rust_napi_net|virtio-pci|virtio_net)[: ]" |
		grep -vE ': (enabling device|renamed from|the device offers .*: done without)' || :
}
