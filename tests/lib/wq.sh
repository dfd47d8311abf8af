# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests of rust_workqueue share. Source it from a test in tests/; it sources driver.sh.
#
#   load [PARAM...]         loads the driver (afresh if it is loaded)
#   load_timer [PARAM...]   the same, with a timer that does not tick yet
#   unload                  removes it
#   wq DEVICE FILE          the path of a file of a device in debugfs
#   set_up QUEUE NAME VALUE...  chooses the queue of timer0, and sets the files of those names
#   burst N                 queues N items on timer0, and waits until they have ended
#   begin_burst N           does not wait
#   of_burst NAME           a line of what came of it
#   worker_of NAME          the number of a worker that runs an item of the queue NAME; fails if none does
#   take DEVICE...          has the driver take virtio-rng devices from the kernel's own; fails if it can't
#   give DEVICE...          gives them back
#   generator_of DEVICE     the name of its generator
#   choose GENERATOR        makes it the one that /dev/hwrng reads from
#   read_hwrng KIB          reads so much from there

driver=rust_workqueue

unload() {
	[ ! -e "/sys/module/$driver" ] || modprobe -r "$driver"
}

# shellcheck source=tests/lib/driver.sh
. "$(dirname "${BASH_SOURCE[0]}")/driver.sh"

timer=timer0

wq() { printf '%s\n' "$debugfs/$1/$2"; }

load() {
	unload
	modprobe "$driver" "$@" || bail "the driver does not load"
}

# shellcheck disable=SC2120 # parameters are optional
load_timer() { load source=timer rate_hz=0 "$@"; }

set_up() {
	local queue=$1 file
	shift
	for file in cost_us sleep_us delay_ms; do echo 0 >"$(wq $timer $file)"; done
	echo any >"$(wq $timer cpu)"
	while [ $# -gt 1 ]; do
		echo "$2" >"$(wq $timer "$1")" || bail "$1 does not take $2"
		shift 2
	done
	echo "$queue" >"$(wq $timer queue)" || bail "there is no queue $queue"
}

burst_over() { [ "$(of_burst queued)" -eq $(($(of_burst 'done') + $(of_burst cancelled))) ]; }

begin_burst() { echo "$1" >"$(wq $timer burst)"; }

burst() {
	begin_burst "$1" || bail "no burst of $1"
	wait_for 60 burst_over || bail "the items have not ended after 60 s: $(tr '\n' ' ' <"$(wq $timer burst)")"
}

of_burst() { field $timer burst "$1"; }

# While a worker runs an item, its name ends in the queue's.
worker_of() { grep -lE "[+]$1\$" /proc/[0-9]*/comm 2>/dev/null | sed -nE '1s,/proc/([0-9]+)/comm,\1,p' | grep .; }

# scripts/guest/devices.sh places the devices.
# shellcheck disable=SC2034 # for the tests
rng0=0000:00:06.0 rng1=0000:00:09.0 rng2=0000:00:0a.0 rng3=0000:00:0b.0 rng4=0000:00:0c.0 rng5=0000:00:0d.0 rng6=0000:00:0e.0
hw_random=/sys/class/misc/hw_random

take() {
	local device
	for device in "$@"; do /lab/scripts/bind "$device" $driver || return; done
}

give() {
	local device
	for device in "$@"; do /lab/scripts/bind "$device" virtio-pci || return; done
}

generator_of() { field "$1" rng name; }

choose() { echo "$1" >$hw_random/rng_current; }

read_hwrng() { dd if=/dev/hwrng of="${2:-/dev/null}" bs=4k count=$(($1 / 4)) iflag=fullblock status=none; }
