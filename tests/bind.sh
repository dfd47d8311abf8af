#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: scripts/bind
# lab-devices: rng
# lab-timeout: 120
#
# scripts/bind: a function goes from one driver to another and back, stays with the chosen one, and
# where it can't go it is where it was, with the reason.

# shellcheck source=scripts/guest/ktap.sh
. "$(dirname "$0")/../scripts/guest/ktap.sh"

bind=/lab/scripts/bind
rng=0000:00:06.0
dir=/sys/bus/pci/devices/$rng
# A driver of the kernel's that takes whatever it is told to; or, where there is none, one that wants this one.
other=uio_pci_generic
modinfo $other >/dev/null 2>&1 || other=rust_workqueue

driver() { [ ! -e $dir/driver ] || basename "$(readlink -f $dir/driver)"; }
# What virtio-pci makes of a function that it has.
made() { compgen -G "$dir/virtio*" >/dev/null; }

# refuses NAME REGEX ARGUMENT...: it fails, says one line that matches, and the
# function is where it was.
refuses() {
	local name=$1 regex=$2 before said
	shift 2
	before=$(driver)
	if said=$($bind "$@" 2>&1); then
		not_ok "$name" "it says it did: $said"
	elif [ "$(driver)" != "$before" ]; then
		not_ok "$name" "the driver was $before and is $(driver)"
	elif [ "$(wc -l <<<"$said")" -ne 1 ]; then
		not_ok "$name" "not one line: $said"
	else
		assert_match "$name" "^bind: .*($regex)" "$said"
	fi
}

restore() {
	[ "$(driver)" = virtio-pci ] || $bind $rng virtio-pci
	echo >$dir/driver_override
	rmmod $other uio rust_workqueue rust_irq_demo irqkit 2>/dev/null || :
}
on_exit restore

plan 24

assert_eq "it says who has the function" "$rng: virtio-pci" "$($bind $rng)"
check "the kernel's driver drives it" made

assert_eq "from virtio-pci to another, which it loads" "$rng: virtio-pci -> $other" "$($bind $rng $other 2>&1)"
assert_eq "so it is" $other "$(driver)"
check_fails "the kernel's driver has let go" made
assert_eq "once more changes nothing" "$rng: $other already" "$($bind $rng $other)"

rmmod $other
assert_eq "without its driver it has none" "" "$(driver)"
echo $rng >/sys/bus/pci/drivers_probe
assert_eq "and waits for it" "" "$(driver)"
modprobe $other
assert_eq "which takes it when it comes" $other "$(driver)"

assert_eq "and back, by a short address" "$rng: $other -> virtio-pci" "$($bind 6 virtio-pci 2>&1)"
check "the kernel's driver drives it again" made

assert_eq "to none" "$rng: virtio-pci -> none" "$($bind 00:06.0 none)"
echo $rng >/sys/bus/pci/drivers_probe
assert_eq "where it stays" "" "$(driver)"
assert_eq "to whom the kernel chooses" "$rng: none -> virtio-pci" "$($bind 6.0 default)"
assert_eq "with nothing left behind" "(null)" "$(cat $dir/driver_override)"

refuses "a driver that there is not" "no module of that name" $rng no_such_driver
refuses "a driver that does not want it" "rust_irq_demo does not take it: .*with virtio-pci again" $rng rust_irq_demo
assert_eq "nothing is left of the attempt" "(null)" "$(cat $dir/driver_override)"
refuses "a function that there is not" "no such function" 0000:00:17.0 $other
refuses "what is no address" "no PCI address" edu0 $other
refuses "a disk" "it has the disk vda" 0000:00:1c.0 $other

# A device of virtio 0.9 alone, which is another's business.
legacy=0000:00:07.0
on_exit qmp device_del id=legacy
check "a legacy-only device is plugged in" \
	qmp device_add driver=virtio-rng-pci id=legacy bus=pci.0 addr=7 disable-modern=true disable-legacy=off
check "the kernel's driver takes it" wait_for 30 test -e /sys/bus/pci/drivers/virtio-pci/$legacy
refuses "ours does not" "rust_workqueue does not take it: virtio: legacy-only device .*with virtio-pci again" 7 rust_workqueue
