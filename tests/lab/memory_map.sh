#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the lab itself
# lab-timeout: 200
#
# One CPU takes interrupts while another changes the machine's memory map, as it does when a card is plugged in. QEMU
# 10.0 aborts within seconds of that, or loses the access by which the other CPU ends an interrupt, and with it all
# that come after: a guest then stands still for good.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 1
out=$(mktemp -d)
on_exit rm -rf "$out"
export LAB_NO_BUILD=1 LAB_CONSOLE=$out/console LAB_KERNEL=debian LAB_ACCEL=tcg LAB_CPUS=2 LAB_TIMEOUT=100
export LAB_QEMU_ARGS="-device virtio-rng-pci,addr=7"

cat >"$out/script" <<'GUEST'
card=/sys/bus/pci/devices/0000:00:07.0
[ ! -e $card/driver ] || basename "$card" >$card/driver/unbind
echo 1 >$card/enable
taskset -c 1 sh -c 'while :; do cat /lab/COPYING >/dev/null; done' &
taskset -c 0 python3 - <<'PYTHON'
import os
config = os.open("/sys/bus/pci/devices/0000:00:07.0/config", os.O_RDWR)
for _ in range(2000):
    # The command register: its memory off, and on.
    os.pwrite(config, b"\0\0", 4)
    os.pwrite(config, b"\2\0", 4)
PYTHON
kill $!
cat /lab/COPYING >/dev/null && echo "2000 changes"
GUEST
changes() { scripts/lab <"$out/script" | tee /dev/stderr | tail -n 1 | grep -qx "2000 changes"; }
check "2000 changes of the memory map beside interrupts" changes
