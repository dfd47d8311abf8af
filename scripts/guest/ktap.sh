# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For guest tests: sourced first, it lets them report in KTAP, the kernel's test format. A failed
# check doesn't end the test; what must not fail for the rest to make sense is said with `bail`.
#
#   plan N                          how many results there will be
#   ok NAME, not_ok NAME [WHY]      a result
#   skip NAME WHY                   a result that cannot be had here
#   diag TEXT                       something to read in the log
#   at TEXT                         where a long test is, which tests/run shows now and then
#   bail WHY                        gives up; what the plan still promises counts as failed
#   check NAME CMD...               whether CMD succeeds; shows its output if not
#   check_fails NAME CMD...         whether CMD fails
#   assert_eq NAME EXPECTED ACTUAL  (also assert_ne NAME UNWANTED ACTUAL)
#   assert_ge NAME MINIMUM ACTUAL   (also assert_le NAME MAXIMUM ACTUAL)
#   assert_match NAME REGEX TEXT
#   write_errno NAME ERRNO FILE TEXT   whether writing TEXT to FILE fails with ERRNO (EINVAL, …)
#   wait_for SECONDS CMD...         until CMD succeeds, at most that long; 1 if it never did
#   on_exit CMD...                  runs CMD when the test ends, however it ends; last said, first run
#
# The status is 0 only if the plan was kept and nothing failed.

ktap_count=0
ktap_failed=0
ktap_planned=
ktap_cleanup=()

plan() {
	ktap_planned=$1
	echo "KTAP version 1"
	echo "1..$1"
}

diag() { printf '%s\n' "$@" | sed 's/^/# /'; }

at() { echo "# at $*"; }

ok() {
	ktap_count=$((ktap_count + 1))
	echo "ok $ktap_count $1"
}

not_ok() {
	ktap_count=$((ktap_count + 1))
	ktap_failed=$((ktap_failed + 1))
	[ $# -lt 2 ] || diag "${@:2}"
	echo "not ok $ktap_count $1"
}

skip() {
	ktap_count=$((ktap_count + 1))
	echo "ok $ktap_count $1 # SKIP $2"
}

bail() {
	diag "giving up: $*"
	exit 1
}

check() {
	local name=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	if [ "$status" -eq 0 ]; then
		ok "$name"
	else
		not_ok "$name" "status $status of: $*" "$output"
	fi
}

check_fails() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		not_ok "$name" "did not fail: $*" "$output"
	else
		ok "$name"
	fi
}

assert_eq() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected: $2" "actual:   $3"; fi
}

assert_ne() {
	if [ "$2" != "$3" ]; then ok "$1"; else not_ok "$1" "unwanted, and there: $3"; fi
}

assert_ge() {
	if [ "$3" -ge "$2" ]; then ok "$1"; else not_ok "$1" "at least: $2" "actual:   $3"; fi
}

assert_le() {
	if [ "$3" -le "$2" ]; then ok "$1"; else not_ok "$1" "at most: $2" "actual:  $3"; fi
}

assert_match() {
	if [[ $3 =~ $2 ]]; then ok "$1"; else not_ok "$1" "expected a match of: $2" "actual: $3"; fi
}

# One write, no newline added. The shell tells the error in words, which does without starting a program;
# where it would not write once, or in one go, Python does.
write_errno() {
	local result
	if [ -n "$4" ] && [ ${#4} -lt 1024 ]; then
		if result=$({ printf %s "$4" >"$3"; } 2>&1); then result=success; fi
		case $result in
		*": Invalid argument") result=EINVAL ;;
		*": Numerical result out of range") result=ERANGE ;;
		*": Device or resource busy") result=EBUSY ;;
		*": Permission denied") result=EACCES ;;
		*": No such device") result=ENODEV ;;
		esac
	else
		result=$(
			python3 -c '
import errno, os, sys
try:
    fd = os.open(sys.argv[1], os.O_WRONLY)
    os.write(fd, sys.argv[2].encode())
    print("success")
except OSError as error:
    print(errno.errorcode.get(error.errno, error.errno))
' "$3" "$4"
		)
	fi
	assert_eq "$1" "$2" "$result"
}

wait_for() {
	local end=$((SECONDS + $1)) last=
	shift
	until "$@"; do
		[ -z "$last" ] || return 1
		sleep 0.05
		# Once more when the time is over: it may have passed while the whole guest stood still.
		[ "$SECONDS" -lt "$end" ] || last=1
	done
}

on_exit() { ktap_cleanup=("$(printf '%q ' "$@")" "${ktap_cleanup[@]}"); }

# shellcheck disable=SC2317 # the trap calls it
ktap_end() {
	local status=$? command
	for command in "${ktap_cleanup[@]}"; do
		eval "$command" || diag "clean-up failed: $command"
	done
	if [ -z "$ktap_planned" ]; then
		diag "no plan"
		status=1
	elif [ "$ktap_planned" -ne "$ktap_count" ]; then
		diag "planned $ktap_planned, ran $ktap_count"
		status=1
	fi
	diag "totals: failed:$ktap_failed of:$ktap_count"
	[ "$ktap_failed" -eq 0 ] || status=1
	exit "$status"
}
trap ktap_end EXIT
trap 'exit 143' TERM
