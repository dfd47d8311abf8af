#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
#
# The parameter irq_mode, and what MSI is like: edge triggered, a line of one's own.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 16

load irq_mode=msi
for device in $edu0 $edu1 $edu2; do
	check "$device has a message" test -e "$pci/$device/msi_irqs/$(irq_of "$device")"
done
assert_match "the message is edge triggered" "edge" "$(grep "^ *$(irq_of $edu2):" /proc/interrupts)"
assert_eq "no two devices share a message" 3 \
	"$(printf '%s\n' "$(irq_of $edu0)" "$(irq_of $edu1)" "$(irq_of $edu2)" | sort -u | wc -l)"

echo 1 >"$(edu $edu2 timing)"
irq=$(irq_of $edu2)
before=$(irq_count "$irq")
echo "300 paced" >"$(edu $edu2 trigger)"
settle $edu2
assert_eq "the handler took every interrupt" 300 "$(counter $edu2 hardirq.wake_thread)"
assert_eq "none was anybody else's" 0 "$(counter $edu2 hardirq.none)"
assert_eq "the kernel counted as many" 300 $(($(irq_count "$irq") - before))
assert_eq "the neighbours heard nothing" "0 0" "$(counter $edu0 hardirq.runs) $(counter $edu1 hardirq.runs)"
sound $edu2

# The kernel's own switch for one device, which automatic choice must heed.
unload
echo 0 >$pci/$edu0/msi_bus
load irq_mode=auto
check_fails "auto takes INTx where MSI is forbidden" test -d $pci/$edu0/msi_irqs
check "auto takes MSI where it may" test -d $pci/$edu2/msi_irqs
unload
echo 1 >$pci/$edu0/msi_bus

mark_log
check_fails "a word that is none of the three is refused" modprobe $driver irq_mode=msix
assert_match "and the log says what was expected" "auto|Invalid argument|invalid for parameter" "$(dmesg | tail -n "+$((log_mark + 1))")"
check_fails "the module is not left behind" test -e /sys/module/$driver
# modprobe had loaded it for the driver that then refused.
modprobe -r irqkit
