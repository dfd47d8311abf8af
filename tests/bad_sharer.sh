#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 120
# lab-expect-dmesg: nobody cared
# lab-expect-dmesg: Disabling IRQ
#
# A bad sharer: a device without a driver that holds the shared line active. The driver of the
# other device says NONE to every interrupt, the kernel's own limit (99,900 of 100,000 unhandled)
# ends it by disabling the line, and a new request brings the line back.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 8

load irq_mode=intx
irq=$(irq_of $edu0)
assert_eq "the line is healthy" "unhandled 0" "$(grep '^unhandled' "/proc/irq/$irq/spurious")"

# The device at edu1 has no driver now. Enable it, allow its pin, and write its registers from here.
echo $edu1 >"/sys/bus/pci/drivers/$driver/unbind"
echo 1 >$pci/$edu1/enable
poke() {
	python3 - "$pci/$edu1" "$1" "$2" <<-'END'
		import mmap, os, struct, sys
		device, register, value = sys.argv[1], int(sys.argv[2], 0), int(sys.argv[3], 0)
		with open(device + "/config", "r+b", buffering=0) as config:
		    config.seek(4)
		    command = struct.unpack("<H", config.read(2))[0]
		    config.seek(4)
		    # Memory space on, INTx not disabled.
		    config.write(struct.pack("<H", (command | 0x2) & ~0x400))
		fd = os.open(device + "/resource0", os.O_RDWR | os.O_SYNC)
		bar = mmap.mmap(fd, 4096)
		memoryview(bar).cast("I")[register // 4] = value
	END
}
none=$(counter $edu0 hardirq.none)
# Bound again it is the driver's, and silent: then there is nothing to do, nor a way to do it.
on_exit sh -c "[ -e $pci/$edu1/driver ] || echo 0 >$pci/$edu1/enable"
poke 0x60 0x1

more_than() { [ "$(counter $edu0 hardirq.none)" -gt $((none + $1)) ]; }
check "NONE climbs on the device that is not to blame" wait_for 60 more_than 1000
assert_eq "it took nothing" "0 0" "$(counter $edu0 hardirq.handled) $(counter $edu0 hardirq.wake_thread)"
check "the kernel disables the line" wait_for 90 sh -c "dmesg | grep -q 'Disabling IRQ #$irq'"
assert_ge "at its limit, not before" 99900 $(($(counter $edu0 hardirq.none) - none))
assert_eq "that is no storm of the innocent device" 0 "$(field $edu0 storm episodes)"

poke 0x64 0xffffffff
unload
load irq_mode=intx
check "a new request brings the line back" timeout 30 sh -c "echo '50 paced' >$(edu $edu0 trigger)"
assert_eq "with every interrupt" 50 "$(counter $edu0 hardirq.wake_thread)"
