#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-expect-dmesg: genirq: Flags mismatch
#
# A line that its user does not share: the next request gets EBUSY, the driver says so, and the
# first user is not disturbed.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 7

unload
mark_log
modprobe $driver irq_mode=intx irq_shared=0
check "the first device has the line" test -e "$debugfs/$edu0"
assert_eq "which is INTx, though not shared" intx "$(field $edu0 irq mode)"
check_fails "the second one has not" test -e "$debugfs/$edu1"
assert_match "the log says why" "EBUSY|-16|busy|taken" "$(driver_log)"
write_errno "bind says EBUSY" EBUSY "/sys/bus/pci/drivers/$driver/bind" $edu1
check "the first one works" timeout 30 sh -c "echo '50 paced' >$(edu $edu0 trigger)"
assert_eq "undisturbed" 50 "$(counter $edu0 hardirq.wake_thread)"
