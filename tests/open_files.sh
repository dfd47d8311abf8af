#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: files that outlive their device
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 60
# lab-kmemleak: what is left when the device went first
#
# Files of debugfs that are kept open while their device goes and the driver is unloaded: that waits
# for no one, they fail from then on, and closing them touches nothing that is gone.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 18

load irq_mode=auto
device=$edu2
exec {stats}<"$(edu $device stats)" {times}<"$(edu $device hardirq/run_ns)" {timing}>"$(edu $device timing)"

# A descriptor's errno, by reading or writing.
fd_errno() {
	python3 -c '
import errno, os, sys
try:
    if sys.argv[2] == "read":
        os.read(int(sys.argv[1]), 4096)
    else:
        os.write(int(sys.argv[1]), b"1\n")
    print("success")
except OSError as error:
    print(errno.errorcode.get(error.errno, error.errno))
' "$1" "$2"
}

# 3 tests.
all_fail() {
	assert_eq "$1: reading stats" EIO "$(fd_errno "$stats" read)"
	assert_eq "$1: reading a histogram" EIO "$(fd_errno "$times" read)"
	assert_eq "$1: writing timing" EIO "$(fd_errno "$timing" write)"
}

check "unbinding waits for no open file" timeout 20 sh -c "echo $device >/sys/bus/pci/drivers/$driver/unbind"
all_fail "unbound"
check "binding again" timeout 20 sh -c "echo $device >/sys/bus/pci/drivers/$driver/bind"
all_fail "bound again, the old files"
assert_match "bound again, a new file" "^hardirq.scheduled " "$(head -n 1 "$(edu $device stats)")"

check "unloading the driver waits for no open file" timeout 20 rmmod $driver
assert_eq "nothing of it is left in debugfs" "" "$(ls -d $debugfs 2>/dev/null)"
all_fail "unloaded"
check_fails "irqkit, whose files they are, is in use" rmmod irqkit
exec {stats}<&- {times}<&- {timing}>&-
check "closed, it is not" rmmod irqkit
check "and all comes back" load
assert_eq "with a file to read" 1 "$(cat "$(edu $device version)")"
