#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: rngs
# lab-timeout: 400
# lab-expect-dmesg: 0000:00:1e.0: PM: failed to suspend: error -95
#
# rust_workqueue as a driver of virtio-rng: /dev/hwrng by every kind of workqueue, on devices of every
# sort.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 90

all=("$rng0" "$rng1" "$rng2" "$rng3" "$rng5")
on_exit give "$rng0" "$rng1" "$rng2" "$rng3" "$rng5" "$rng6"

out_of() { field "$1" rng bytes_out; }

load
for device in "${all[@]}"; do
	check "$device is taken" take "$device"
	assert_eq "$device works" well "$(field "$device" rng health)"
done
assert_eq "each has a generator of its own" 5 \
	"$(for device in "${all[@]}"; do generator_of "$device"; done | sort -u | wc -l)"
for device in "${all[@]}"; do
	choose "$(generator_of "$device")"
	before=$(out_of "$device")
	check "$device: /dev/hwrng gives 64 KiB" read_hwrng 64
	assert_ge "$device: they are its" 65536 $(($(out_of "$device") - before))
done

# What the devices can, and what is done about it.
has_bit() { [ $((($(field "$1" rng features) >> $2) & 1)) -eq 1 ]; }
check "event_idx where it is offered" has_bit "$rng0" 29
check_fails "not where it is not" has_bit "$rng2" 29
check_fails "nor indirect_desc" has_bit "$rng2" 28
check "version 1" has_bit "$rng0" 32
check "iommu_platform where it is on" has_bit "$rng5" 33
check_fails "not where it is not" has_bit "$rng0" 33
assert_eq "a vector each where there are some" per_queue "$(field "$rng0" rng vectors)"
assert_eq "the pin where there are none" intx "$(field "$rng3" rng vectors)"
mark_log
check_fails "a device from before version 1 is not taken" take "$rng4"
assert_match "and why is in the log" "$rng4.*(legacy|version 1|1\\.0)" "$(driver_log)"
give "$rng4"

# Every kind of queue.
device=$rng0
choose "$(generator_of "$device")"
echo 1 >"$(wq $device timing)"
for queue in $(tr -d '[]' <"$(wq $device queue)"); do
	echo "$queue" >"$(wq $device queue)"
	before=$(out_of $device) runs=$(counter $device "work/$queue.runs")
	check "$queue: /dev/hwrng gives 128 KiB" read_hwrng 128
	assert_ge "$queue: by its items" 1 $(($(counter $device "work/$queue.runs") - runs))
done
echo percpu >"$(wq $device queue)"
assert_ge "an interrupt for many buffers" 4 \
	$(($(field $device rng filled) / $(counter $device hardirq/requests.runs)))
assert_le "no reader has waited in vain" 1 "$(field $device rng timeouts)"
sound $device

# What comes is random: as far as that can be told.
sample=$(mktemp)
on_exit rm -f "$sample"
mib=$(fewer 4 1)
check "$mib MiB" read_hwrng $((mib * 1024)) "$sample"
rngtest <"$sample" >"$sample.rngtest" 2>&1
failures=$(sed -nE 's/.*FIPS 140-2 failures: ([0-9]+)/\1/p' "$sample.rngtest")
successes=$(sed -nE 's/.*FIPS 140-2 successes: ([0-9]+)/\1/p' "$sample.rngtest")
rm -f "$sample.rngtest"
diag "rngtest: $successes successes, $failures failures"
assert_ge "rngtest has looked at all of it" $((mib * 1677 / 4)) $((successes + failures))
# A good source fails about 0.8 of 1000 blocks.
assert_le "rngtest finds no more to complain of than chance has it" $((mib * 3)) "$failures"
entropy=$(ent -t "$sample" | awk -F, '$1 == 1 { print int($3 * 10000) }')
diag "ent: $entropy/10000 bits of entropy a byte"
assert_ge "ent: 7.999 bits of entropy a byte" 79990 "$entropy"
assert_eq "no block of 64 bytes comes twice" 0 "$(xxd -p -c 64 "$sample" 2>/dev/null | sort | uniq -d | wc -l)"

# On its way to sleep and back: the machine does not get there, see wq_freeze.sh, but the device is
# taken down and brought up.
before=$(out_of $device)
echo freeze 2>/dev/null >/sys/power/state
assert_eq "after a suspend it works" well "$(field $device rng health)"
check "after a suspend it gives" read_hwrng 256
assert_ge "it is this one that does" 262144 $(($(out_of $device) - before))
# So do those that nobody has read from meanwhile.
for other in "$rng2" "$rng3"; do
	choose "$(generator_of "$other")"
	check "after a suspend $other gives" read_hwrng 64
done
unload

assert_eq "nothing of it is left" "" "$(tr ' ' '\n' <$hw_random/rng_available | grep rust)"
