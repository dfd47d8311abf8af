#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: memory that is short
# lab-devices: net-tap
# lab-append: swiotlb=1024,1,force
# lab-expect-dmesg: swiotlb buffer is full
# lab-timeout: 120
# lab-kmemleak: what is left of frames that got nowhere
#
# Buffers when memory is short: all that the card may reach is 2 MiB of bounce buffers, and a socket that nobody
# reads keeps what comes in, until the device has no buffer left. No frame comes then by which it could be noticed
# that there is memory again: a work item tries until there is, ten times a second.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
# shellcheck source=tests/lib/starve.sh
. "$(dirname "$0")/lib/starve.sh"
plan 17

on_exit give "$net0"

starving_card
BLOB_MIB=4
blob

check "the peer answers" reachable
assert_eq "the card has asked for addresses" 1 $((($(field $net0 nic features) >> 33) & 1))
bounced() { cat /sys/kernel/debug/swiotlb/io_tlb_used; }
assert_ge "what it reaches are bounce buffers" 64 "$(bounced)"
check "what goes through them is what it was: out" checksum out
check "and in" checksum in

failed() { python3 /lab/scripts/guest/bin/net-queues qstats "$nic" | awk '$1 == "rx" && $3 == "alloc_fail" { print $4 }'; }
keep
tries() { [ "$(refills)" -ge $((before + 5)) ]; }

check "the device has no buffer left" wait_for 60 silent
start=${EPOCHREALTIME/./}
before=$(refills)
check "a work item tries, and tries again" wait_for 20 tries
tried=$(($(refills) - before))
# 100 ms after it was in vain; timers are exact to a few of them.
assert_le "not all the time" $(((${EPOCHREALTIME/./} - start) / 90000 + 2)) $tried
assert_ge "it is counted" 3 "$(failed)"
diag "$(bounced) of $(cat /sys/kernel/debug/swiotlb/io_tlb_nslabs) bounce buffers; $(refills) tries; $(failed) times without memory"
assert_eq "nothing is reset for that" "" "$(driver_log | grep -iE 'poison|broken|reset|out of use')"

kill $keeper
check "with memory again it works again, by itself" wait_for 60 reachable
check "what goes out is what it was" checksum out
check "and what comes in" checksum in
settle $net0
before=$(refills)
check "and again" reachable
sound $net0
assert_eq "the work item has no more to do" "$before" "$(refills)"
