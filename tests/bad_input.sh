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
plan $((2 * number + 74))

load_pair irq_mode=auto
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
	write_errno "$file refuses a blank" EINVAL "$(edu $device $file)" " "
done

# Nothing at all, more than a file takes, and what is not text: to every file that can be written; and anything to those
# that can't. Root may open them all.
writable=(trigger factorial dma defer storm storm_limit timing reset)
read_only=(stats percpu version irq journal {hardirq,thread,tasklet,tasklet_hi}/{wait_ns,run_ns})
assert_eq "those are all files" "$(printf '%s\n' "${writable[@]}" "${read_only[@]}" | sort | paste -sd ' ')" \
	"$(cd "$debugfs/$device" && find . -type f | sed 's,^\./,,' | sort | paste -sd ' ')"
# A line that is shared has one path more.
storm=(work/storm/{wait_ns,run_ns,late_ns})
assert_eq "and those of a line that is shared" "$(printf '%s\n' "${writable[@]}" "${read_only[@]}" "${storm[@]}" | sort | paste -sd ' ')" \
	"$(cd "$debugfs/$edu0" && find . -type f | sed 's,^\./,,' | sort | paste -sd ' ')"
tries=$(
	python3 - "$debugfs/$device" "${#writable[@]}" "${writable[@]}" "${read_only[@]}" "${storm[@]/#/../$edu0/}" <<-'END'
		import errno, os, sys

		def answer(file, mode, act):
		    try:
		        fd = os.open(os.path.join(sys.argv[1], file), mode)
		        try:
		            act(fd)
		        finally:
		            os.close(fd)
		        return "success"
		    except OSError as error:
		        return errno.errorcode.get(error.errno, error.errno)

		writable, read_only = sys.argv[3:][:int(sys.argv[2])], sys.argv[3:][int(sys.argv[2]):]
		bad = [("nothing", b""), ("5000 bytes", b"1" * 5000), ("5000 spaces and 1", b" " * 5000 + b"1"),
		       ("what is not text", b"1\xff\x80"), ("a zero byte", b"1\x00")]
		for file in writable:
		    for what, data in bad:
		        print(answer(file, os.O_WRONLY, lambda fd: os.write(fd, data)), file, "refuses", what)
		for file in read_only:
		    print(answer(file, os.O_WRONLY, lambda fd: os.write(fd, b"1")), file, "cannot be written")
		print(answer("reset", os.O_RDONLY, lambda fd: os.read(fd, 1)), "reset cannot be read")
	END
)
while read -r answer name; do assert_eq "$name" EINVAL "$answer"; done <<<"$tries"

assert_eq "nothing of it changed anything" "$before" "$(everything)"

check "what is good is still taken" sh -c "echo '100 0x2 paced' >$(edu $device trigger)"
settle $device
assert_eq "and served" 100 "$(counter $device hardirq.runs)"
assert_eq "numbers may be hexadecimal" 6 "$(echo 0x3 >"$(edu $device factorial)" && field $device factorial value)"
check_fails "users cannot write" setpriv --reuid 65534 --clear-groups sh -c "echo 1 >$(edu $device trigger)"
check_fails "users cannot read" setpriv --reuid 65534 --clear-groups cat "$(edu $device stats)"
assert_eq "the device is still there" "$driver" "$(basename "$(readlink $pci/$device/driver)")"
