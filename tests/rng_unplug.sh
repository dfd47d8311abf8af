#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: unplugged under load, as edu and the card are
# lab-devices: rngs
# lab-timeout: 180
# lab-kmemleak: what is left of a device or a module that went
#
# A virtio-rng device that goes while it is being read: unbound, bound again and pulled out. Readers
# get an error, those who wait as well, and nothing hangs.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 34

on_exit give "$rng1" "$rng6"

# Reads /dev/hwrng until that fails, and writes why to a file.
start_reader() {
	python3 - "$1" <<'EOF' &
import errno, os, sys
try:
    fd = os.open("/dev/hwrng", os.O_RDONLY)
    while os.read(fd, 65536):
        pass
    why = "end"
except OSError as error:
    why = errno.errorcode[error.errno]
with open(sys.argv[1], "w") as file:
    file.write(why)
EOF
	reader=$!
}
result=$(mktemp)
on_exit rm -f "$result"
ended() { ! kill -0 $reader 2>/dev/null; }
# The reader ends, with ENODEV, whatever it was doing.
reader_ends() {
	check "$1: the reader ends" wait_for 20 ended
	assert_eq "$1: with an error" ENODEV "$(cat "$result")"
	: >"$result"
}

load
take "$rng1" || bail "$rng1 is not taken"
for queue in percpu bh ordered; do
	echo $queue >"$(wq "$rng1" queue)"
	choose "$(generator_of "$rng1")"
	start_reader "$result"
	wait_for 10 sh -c "[ \$(awk '\$1 == \"bytes_out\" { print \$2 }' $(wq "$rng1" rng)) -ge 100000 ]" || bail "nobody reads"
	check "$queue: unbind under a reader" sh -c "echo $rng1 >/sys/bus/pci/drivers/$driver/unbind"
	reader_ends "$queue"
	check "$queue: bind again" sh -c "echo $rng1 >/sys/bus/pci/drivers/$driver/bind"
	choose "$(generator_of "$rng1")"
	check "$queue: it gives again" read_hwrng 64
done

# A device that gives nothing: readers wait, and are not forgotten.
take "$rng6" || bail "$rng6 is not taken"
choose "$(generator_of "$rng6")"
assert_eq "a read that may not wait: EAGAIN once it is dry" EAGAIN "$(python3 -c '
import errno, os
fd = os.open("/dev/hwrng", os.O_RDONLY | os.O_NONBLOCK)
try:
    for _ in range(100):
        os.read(fd, 4096)
    print("never")
except OSError as error:
    print(errno.errorcode[error.errno])')"
start_reader "$result"
sleep 1
check "a read that waits does so" kill -0 $reader
start=$EPOCHREALTIME
check "unbind under a reader who waits" sh -c "echo $rng6 >/sys/bus/pci/drivers/$driver/unbind"
assert_le "it does not take longer for that" 5 $((${EPOCHREALTIME%.*} - ${start%.*}))
reader_ends "waiting"
check "bind again" sh -c "echo $rng6 >/sys/bus/pci/drivers/$driver/bind"

# A signal ends a read that waits.
choose "$(generator_of "$rng6")"
timeout -s INT 2 dd if=/dev/hwrng of=/dev/null bs=4k count=1 2>/dev/null
assert_eq "a signal ends a read that waits" 124 $?

# Pulled out; with no other to read from instead.
give "$rng6"
choose "$(generator_of "$rng1")"
start_reader "$result"
wait_for 10 sh -c "[ \$(awk '\$1 == \"bytes_out\" { print \$2 }' $(wq "$rng1" rng)) -ge 100000 ]" || bail "nobody reads"
qmp device_del id=rng1 >/dev/null
check "pulled out under a reader" wait_for 20 test ! -e "$pci/$rng1"
reader_ends "pulled out"
check "its directory is gone" test ! -e "$debugfs/$rng1"
qmp device_add driver=virtio-rng-pci id=rng1 addr=9 >/dev/null
check "put in again" wait_for 20 test -e "$pci/$rng1"
check "it is taken again" take "$rng1"
choose "$(generator_of "$rng1")"
check "and gives again" read_hwrng 64
sound "$rng1"
check "unload" unload
assert_eq "nothing of it is left" "" "$(tr ' ' '\n' <$hw_random/rng_available | grep rust)"
