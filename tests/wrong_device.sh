#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: devices that are no edu
# lab-devices: edu2-intx+edu-msi
#
# Devices that are no edu, given to the driver by the kernel's own means (driver_override; new_id): it looks
# before it takes one, says what is wrong, and leaves nothing behind.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 17

# Memory at BAR 0 that reads 0, and I/O ports at BAR 0. The kernel has no driver for the first one.
memory=0000:00:10.0
ports=0000:00:11.0
# The bridge to the ISA bus: nothing at BAR 0.
none=0000:00:01.0
drivers=/sys/bus/pci/drivers

load irq_mode=auto
on_exit sh -c "echo >$pci/$none/driver_override"
for device in $memory $ports; do on_exit qmp device_del id="wrong${device:8:2}"; done
check "a test device is plugged in" qmp device_add driver=pci-testdev id=wrong10 bus=pci.0 addr=0x10
check "and a network card of old" qmp device_add driver=ne2k_pci id=wrong11 bus=pci.0 addr=0x11 romfile=
there() { [ -e $pci/$memory ] && [ -e $pci/$ports ]; }
check "the kernel sees them" wait_for 30 there
[ ! -e $pci/$ports/driver ] || echo $ports >$pci/$ports/driver/unbind

# What the driver says of a device in the log. That it is enabled the PCI core says.
said() { driver_log | sed -nE "/enabling device/d; s/^(\[[^]]*\] )?$driver $1: //p"; }

refused() {
	local device=$1 errno=$2 line=$3
	mark_log
	echo $driver >"$pci/$device/driver_override"
	write_errno "$device: it is refused" "$errno" "$drivers/$driver/bind" "$device"
	assert_eq "$device: the log says why" "$line" "$(said "$device")"
	check_fails "$device: it has no driver" test -e "$pci/$device/driver"
	echo >"$pci/$device/driver_override"
}
refused $memory ENODEV "not an edu device: identification 0x00000000, expected 0x????00ed"
refused $ports ENODEV "not an edu device: BAR 0 is not memory"
refused $none ENODEV "not an edu device: BAR 0 is not memory"

# A number that the driver does not know can't be added: an entry of a Rust driver's table has data, which
# new_id would have to name.
write_errno "its number can't be added to the driver's" EINVAL "$drivers/$driver/new_id" "1b36 0005"
check_fails "so it has no driver" test -e $pci/$memory/driver

assert_eq "only the devices that are edu have their registers" 3 "$(grep -c ": $driver\$" /proc/iomem)"
check "the devices that are edu work" timeout 30 sh -c "echo '20 paced' >$(edu $edu0 trigger) && echo '20 paced' >$(edu $edu2 trigger)"
check "the driver goes as ever" unload
