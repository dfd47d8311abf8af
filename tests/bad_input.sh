#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-kmemleak: what is left of what was refused
#
# What no file may take: each refusal has its error number and one line in the log, changes
# nothing, and leaves all working.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"

# file errno text; the text may be empty, and \x00 and the like are given as they are.
refusals=$(
	cat <<-END
		trigger EINVAL hello
		trigger EINVAL -1
		trigger EINVAL +1
		trigger EINVAL 1.5
		trigger EINVAL 1 0x2 0x4
		trigger EINVAL 1 paced burst
		trigger EINVAL 1 quickly
		trigger EINVAL paced
		trigger ERANGE 0
		trigger ERANGE 1000001
		trigger ERANGE 1 0
		trigger ERANGE 1 0x100000000
		trigger EINVAL 99999999999999999999999999
		factorial EINVAL hello
		factorial EINVAL -1
		factorial EINVAL 1 2
		factorial ERANGE 13
		factorial ERANGE 4294967296
		dma EINVAL hello
		dma EINVAL roundtrip
		dma EINVAL roundtrip x
		dma EINVAL to 1
		dma EINVAL sideways 0 1
		dma EINVAL to 0 1 2
		dma ERANGE roundtrip 0
		dma ERANGE roundtrip 4096
		dma ERANGE to 4095 1
		dma ERANGE to 1 4095
		dma ERANGE from 18446744073709551615 1
		dma ERANGE from 1 18446744073709551615
		defer EINVAL hello
		defer EINVAL thread tasklet
		defer EINVAL Thread
		storm EINVAL hello
		storm EINVAL ack now
		storm EINVAL stop 5
		storm ERANGE ack 0
		storm ERANGE noack 60001
		storm_limit EINVAL hello
		storm_limit EINVAL -1
		storm_limit ERANGE 100000001
		timing EINVAL 2
		timing EINVAL hello
		reset EINVAL 0
		reset EINVAL hello
	END
)
number=$(wc -l <<<"$refusals")
plan $((2 * number + 21))

load irq_mode=auto
device=$edu2
everything() { (cd "$debugfs/$device" && head -n 100 stats timing defer trigger factorial dma storm storm_limit journal); }
before=$(everything)

# Of a file's refusals 20 a second are logged, which is more than there are here.
tried=0
while read -r file errno text; do
	tried=$((tried + 1))
	echo "bad_input: try $tried" >/dev/kmsg
	write_errno "$file refuses '$text'" "$errno" "$(edu $device "$file")" "$text"
done <<<"$refusals"
# The lines of each: NUMBER LINES.
lines=$(dmesg | awk -v name="$device/" '
	/bad_input: try / { try = $NF }
	try && index($0, name) { file = $0; sub(".*" name, "", file); sub(/[: ].*/, "", file); lines[try "/" file]++ }
	END { for (key in lines) print key, lines[key] }')
tried=0
while read -r file errno text; do
	tried=$((tried + 1))
	assert_eq "$file says so in one line of the log: '$text'" 1 "$(awk -v key="$tried/$file" '$1 == key { print $2 }' <<<"$lines")"
done <<<"$refusals"

for file in trigger factorial dma defer storm storm_limit timing reset; do
	write_errno "$file refuses nothing at all" EINVAL "$(edu $device $file)" " "
done
long=$(printf '%05000d' 1)
for file in trigger defer timing; do
	result=$(python3 - "$(edu $device $file)" "$long" <<-'END'
		import os, sys
		try:
		    os.write(os.open(sys.argv[1], os.O_WRONLY), sys.argv[2].encode())
		    print("success")
		except OSError as error:
		    print("refused")
	END
	)
	assert_eq "$file refuses 5000 bytes" refused "$result"
done
result=$(python3 - "$(edu $device trigger)" <<-'END'
	import os, sys
	try:
	    os.write(os.open(sys.argv[1], os.O_WRONLY), b"1\xff\x00\x80")
	    print("success")
	except OSError as error:
	    print("refused")
END
)
assert_eq "trigger refuses what is not text" refused "$result"

check_fails "stats cannot be written" sh -c "echo 1 >$(edu $device stats)"
check_fails "reset cannot be read" python3 -c "open('$(edu $device reset)').read()"

assert_eq "nothing of it changed anything" "$before" "$(everything)"

check "what is good is still taken" sh -c "echo '100 0x2 paced' >$(edu $device trigger)"
settle $device
assert_eq "and served" 100 "$(counter $device hardirq.runs)"
assert_eq "numbers may be hexadecimal" 6 "$(echo 0x3 >"$(edu $device factorial)" && field $device factorial value)"
check_fails "users cannot write" setpriv --reuid 65534 --clear-groups sh -c "echo 1 >$(edu $device trigger)"
check_fails "users cannot read" setpriv --reuid 65534 --clear-groups cat "$(edu $device stats)"
assert_eq "the device is still there" "$driver" "$(basename "$(readlink $pci/$device/driver)")"
