#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: what measures and soaks a network card
# lab-timeout: 900
#
# scripts/net-versus, net-count, net-matrix and net-soak, as short as they can be: that they come to an end, and to
# one that holds. What they have to say of the driver takes longer.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 28
out=$(mktemp -d)
on_exit rm -rf "$out"
export LAB_NO_BUILD=1 ROUNDS=1 SECONDS_EACH=1 PACKETS=1000 DISTANCES=1 MIB=4

# tried NAME CMD...: runs it; its status counts, and what it prints goes to $out/NAME and the log.
tried() {
	local name=$1 status=0 start=$SECONDS
	shift
	at "$name"
	"$@" >"$out/$name" 2>"$out/$name.err" </dev/null || status=$?
	diag "$name: $((SECONDS - start)) s" "$(cat "$out/$name.err" "$out/$name")"
	assert_eq "$name ends well" 0 "$status"
}
# rows NAME REGEX: how many lines of its output match.
rows() { grep -cE -- "$2" "$out/$1" || :; }
number='[0-9]+\.[0-9]+'

tried net-versus scripts/net-versus
assert_eq "four speeds of both drivers, above none, and their ratio" 4 \
	"$(rows net-versus "^(TCP|UDP 64) (send|receive) +[0-9]*[1-9][0-9]*\.[0-9] +[0-9]*[1-9][0-9]*\.[0-9] +$number +$number-$number +(Mbit/s|kpackets/s)$")"
assert_eq "notifications and interrupts of both" 4 \
	"$(rows net-versus "^(TCP|UDP 64) (send|receive) +$number +$number +$number +$number +a (MiB|packet)$")"
# A MiB is sixteen frames at least: neither driver can have sent it without a word to the device, or from it.
assert_eq "and none of them is 0 where TCP is sent" 0 "$(rows net-versus '^TCP send .* 0\.000 .* a ')"
assert_eq "and the time of this machine that it took, for both" 4 \
	"$(rows net-versus "^(TCP|UDP 64) (send|receive)( +$number +$number $number \($number-$number\)){3}  a (MiB|packet)$")"
check "every value is in its report" test build/net-versus/report.json -nt "$out"
tried net-versus-profile scripts/net-versus profile "UDP 64 receive"
assert_eq "all that it takes, by both drivers and on two CPUs" 1 \
	"$(rows net-versus-profile "^all that( +$number){4}$")"
assert_ge "it names functions of either driver" 2 "$(rows net-versus-profile '\* [01]   (virtio_net|rust_napi_net) ')"

tried net-count scripts/net-count
assert_eq "six kinds of packet, with instructions of both drivers and the difference" 6 \
	"$(rows net-count "  [0-9]{3,} +[0-9]{3,} +[+-][0-9]+ +[+-]$number %$")"
assert_eq "and what went to the device and came from it, for each; of one round no more can be told" 6 "$(rows net-count "^[^:]+( +$number){4} +-$")"
check "every value is in its report" test build/net-count.json -nt "$out"
tried net-count-offloads env OFFLOADS=1 scripts/net-count
assert_eq "the same with offloads" 6 "$(rows net-count-offloads "  [0-9]{3,} +[0-9]{3,} +[+-][0-9]+ +[+-]$number %$")"
tried net-count-profile scripts/net-count profile
assert_ge "it names functions of our driver" 1 "$(rows net-count-profile '^ +[0-9]+ \* rust_napi_net ')"
tried net-count-received scripts/net-count profile received
# A process needs millions of instructions to begin: in 1000 packets they would be more than the rest.
assert_ge "what receives a datagram is mostly the kernel's, for either driver" 2 \
	"$(awk '/instructions a packet/ { all = $NF } $2 == "user" && $1 * 2 < all { n++ } END { print n + 0 }' "$out/net-count-received")"

tried net-matrix scripts/net-matrix mine=packed=on,mrg_rxbuf=off
assert_eq "its row, and what was made of the device" 1 "$(rows net-matrix '^ok +mine .* packed big ')"
assert_eq "its last line" "1 ok, 0 failed, in 1 guests" "$(tail -n 1 "$out/net-matrix")"
# What does not take effect fails its row, and the row says so.
scripts/net-matrix none=no_such_option=on ring=expect.ring=packed feature=packed=on,expect.IN_ORDER=on >"$out/wrong" 2>"$out/why"
assert_eq "rows that are not as expected" "0 ok, 3 failed, in 1 guests" "$(tail -n 1 "$out/wrong")"
cat "$out/why" >>"$out/wrong"
assert_eq "and what was expected, and seen" 2 \
	"$(rows wrong '^ +(ring: expected packed, seen split|IN_ORDER: expected to be agreed on, and it is not)$')"

# TCP in 3 numbers of streams, UDP, each three ways; pings by two versions of IP; two checksums, and the books.
tried net-soak scripts/net-soak --seconds 1 --mib 4 --ping-step 1499 --peer tap
assert_eq "its rows, all good" 17 "$(rows net-soak '^ok +tap ')"
tried net-soak-streams scripts/net-soak --seconds 1 --mib 4 --streams 8 --peer hub
assert_eq "and with so many streams, on a hub" 6 "$(rows net-soak-streams '^ok +hub ')"
