#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: rngs
# lab-timeout: 600
# lab-kmemleak: what is left of a device or a module that went
#
# Loading and unloading, 200 times in a long run, with a device that is being read.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 4

load
take "$rng0" || bail "the device is not taken"
on_exit give "$rng0"
unload

rounds=$(fewer 200 3)
expedite
failed=0
module=/lib/modules/$(uname -r)/updates/$driver.ko
modprobe irqkit
on_exit modprobe -r irqkit
for ((i = 0; i < rounds; i++)); do
	at "round $((i + 1)) of $rounds"
	# The device is bound at once: it was told to be ours.
	insmod "$module" || failed=$((failed + 1))
	dd if=/dev/hwrng of=/dev/null bs=4k count=1000 2>/dev/null &
	dd if=/dev/hwrng of=/dev/null bs=512 count=1 2>/dev/null || failed=$((failed + 1))
	rmmod $driver || failed=$((failed + 1))
	wait
done
assert_eq "$rounds times loaded, read and unloaded" 0 $failed
assert_eq "no generator is left" "" "$(tr ' ' '\n' <$hw_random/rng_available | grep rust)"
assert_eq "no interrupt is left" "" "$(grep -F "virtio-$rng0" /proc/interrupts)"
load
choose "$(generator_of "$rng0")"
check "it still gives" read_hwrng 64
