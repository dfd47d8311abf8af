#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the limits of a queue
# lab-devices: net-tap
# lab-timeout: 120
#
# Byte queue limits on rust_napi_net: what is on its way is counted and comes back, the limit moves with the load,
# and a queue that is at its limit is stopped, and goes on.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 17

on_exit give "$net0"
set_up queue_pairs=1
reachable || bail "the peer does not answer"
in_peer socat -u TCP-LISTEN:7000,fork,reuseaddr OPEN:/dev/null &
on_exit kill $!
bql=/sys/class/net/$nic/queues/tx-0/byte_queue_limits
[ -e "$bql" ] || bail "this kernel has no BQL"
read_bql() { cat "$bql/$1"; }
at_zero() { [ "$(read_bql inflight)" -eq 0 ]; }
stopped() { python3 /lab/scripts/guest/bin/net-queues qstats "$nic" | awk '$1 == "tx" && $3 == "stop" { print $4 }'; }

# Sends so many MiB, by TCP or in datagrams, looking at the queue all the while: the most bytes on their way, and
# the highest limit.
send() {
	timeout 300 python3 - "$bql" $peer_ip4 "$@" <<'END_OF_PROGRAM'
import os, socket, sys, threading

bql, peer, how, mib = sys.argv[1:]
files = [os.open(f"{bql}/{name}", os.O_RDONLY) for name in ("inflight", "limit")]
done = threading.Event()
most = [0, 0]

def look():
    while not done.is_set():
        for which, file in enumerate(files):
            value = int(os.pread(file, 32, 0))
            # `inflight` is a difference of two numbers that the kernel reads one after the other: what comes
            # back in between can make it less than nothing.
            if value < 2**31:
                most[which] = max(most[which], value)

def send():
    if how == "datagrams":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(int(mib) * 750):
                s.sendto(bytes(1400), (peer, 7001))
        return
    with socket.create_connection((peer, 7000)) as s:
        for _ in range(int(mib)):
            s.sendall(bytes(1 << 20))
        s.shutdown(socket.SHUT_WR)
        s.recv(1)

looker = threading.Thread(target=look)
looker.start()
try:
    send()
finally:
    done.set()
    looker.join()
print(*most)
END_OF_PROGRAM
}

# What is large is cut by the stack, which asks for the limit once for all of it; a datagram is a frame.
ethtool -K "$nic" tso off gso off || bail "no small segments"
frame=1514
check "nothing is on its way at first" wait_for 10 at_zero

read -r inflight limit < <(send TCP 8)
diag "at most $inflight bytes on their way, with a limit of at most $limit"
assert_ge "under load several frames are" $((3 * frame)) "${inflight:-0}"
assert_ge "the limit is what that takes" $((2 * frame)) "${limit:-0}"
check "all of them come back" wait_for 10 at_zero

# A limit of 0: the queue is stopped by each frame, and woken when it is sent. By BQL: the ring has room.
echo 0 >"$bql/limit_max"
# It takes effect when something comes back.
reachable || bail "no answer"
before=$(stopped)
read -r inflight limit < <(send datagrams 4)
assert_ge "one at a time" 1 "${inflight:-0}"
assert_le "not more" $frame "${inflight:-0}"
assert_eq "as the limit is 0" 0 "$(read_bql limit)"
assert_eq "the driver has not stopped it" "$before" "$(stopped)"
check "it comes back, too" wait_for 10 at_zero

echo $((100 * frame)) >"$bql/limit_max"
echo $((10 * frame)) >"$bql/limit_min"
reachable || bail "no answer"
read -r inflight limit < <(send datagrams 8)
assert_ge "a higher limit holds as well" $((10 * frame)) "${limit:-0}"
assert_le "with not more than it on their way" $((101 * frame)) "${inflight:-0}"

# Down under load: what is on its way then comes back when the card is up.
send TCP 4096 >/dev/null 2>&1 &
sender=$!
before=$(packets tx_bytes)
sends() { [ "$(packets tx_bytes)" -gt $((before + 1000000)) ]; }
check "under load" wait_for 30 sends
check "down, and up" sh -c "ip link set $nic down && ip link set $nic up"
link $net0 || bail "no link"
check "it answers" reachable
kill $sender
wait $sender 2>/dev/null
check "nothing is left on its way" wait_for 30 at_zero
sound $net0
