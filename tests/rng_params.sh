#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: each parameter
# lab-devices: rngs
# lab-timeout: 300
# lab-kmemleak: what is left of what was refused
#
# The parameters of rust_workqueue that virtio-rng has a use for.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 31

check_fails "a quality above all" modprobe $driver quality=1025
check_fails "no quality" modprobe $driver quality=0
check_fails "a ring of nothing" modprobe $driver ring_size=0
check_fails "a ring beyond the limit" modprobe $driver ring_size=1025
check_fails "a buffer of nothing" modprobe $driver buffer_bytes=0
check_fails "vectors of a sort there is not" modprobe $driver vectors=some

load
on_exit give $rng0
check "the device is taken" take $rng0
unload

# Parameters: rings from the smallest to the largest, and buffers.
for parameters in ring_size=1 ring_size=2 ring_size=1024 "ring_size=1024 buffer_bytes=64" "buffer_bytes=1" \
	"buffer_bytes=65536" "ring_size=1 buffer_bytes=1" vectors=shared vectors=intx vectors=per_queue; do
	# shellcheck disable=SC2086 # words, on purpose
	load $parameters
	wait_for 5 test -e "$(wq $rng0 rng)"
	choose "$(generator_of $rng0)"
	# Where there is an interrupt for a few bytes, a few have to do.
	case $parameters in
	*buffer_bytes=1) amount=512 ;;
	ring_size=[12]) amount=16384 ;;
	*) amount=262144 ;;
	esac
	check "$parameters: /dev/hwrng gives" dd if=/dev/hwrng of=/dev/null bs=$amount count=1 iflag=fullblock
	assert_eq "$parameters: it works" well "$(field $rng0 rng health)"
	case $parameters in
	vectors=*) assert_eq "$parameters: so it is" "${parameters#*=}" "$(field $rng0 rng vectors)" ;;
	ring_size=1024) diag "the largest ring has $(field $rng0 rng buffers) buffers" ;;
	esac
done

load quality=300
wait_for 5 test -e "$(wq $rng0 rng)"
choose "$(generator_of $rng0)"
assert_eq "quality" 300 "$(cat $hw_random/rng_quality)"
unload
