# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # for tests/run and its other rooms, and theirs
#
# Counts what tests/run has seen, and reads KTAP. Needs `logs`.

passed=0
failed=0
skipped=0
failures=()

# One test program's results: begin NAME; feed LINE for all that it writes; finish STATUS MS.
begin() {
	test_name=$1
	# Regular expression of the reasons for which this one may skip a case. Any other skip is a failure:
	# a test that the suite requires doesn't pass by not running.
	test_may_skip=${2:-}
	test_planned=
	test_at=
	test_ok=0
	test_bad=()
	test_skips=0
	test_context=()
	test_stolen=$(stolen)
}

# Seconds that other machines have had of this one's CPUs since it began, if it is a virtual one.
stolen() {
	local ticks
	read -r _ _ _ _ _ _ _ _ ticks _ </proc/stat
	echo $((ticks / 100))
}

bad() { test_bad+=("$*"); }

feed() {
	local line=$1 why
	if [[ $line =~ ^1\.\.([0-9]+)( *# *SKIP *(.*))?$ ]]; then
		test_planned=${BASH_REMATCH[1]}
	elif [[ $line =~ ^not\ ok\ [0-9]+\ ?(.*)$ ]]; then
		bad "${BASH_REMATCH[1]}$(printf '\n      %s' "${test_context[@]}")"
	elif [[ $line =~ ^ok\ [0-9]+\ ?(.*)$ ]]; then
		line=${BASH_REMATCH[1]}
		why=${line##*" # SKIP"}
		why=${why# }
		if [[ $line != *" # SKIP"* ]]; then
			test_ok=$((test_ok + 1))
		elif [ -n "$test_may_skip" ] && [[ $why =~ $test_may_skip ]]; then
			test_skips=$((test_skips + 1))
			say "skipped $test_name: ${line% \# SKIP*}: $why"
		else
			bad "${line% \# SKIP*}: skipped, but required here: $why"
		fi
	elif [[ $line == "# at "* ]]; then
		test_at=${line#"# "}
		return
	elif [[ $line == "#"* ]]; then
		# What stands before a failure explains it.
		test_context+=("$line")
		return
	fi
	test_context=()
}

finish() {
	local status=$1 ms=$2 seen
	seen=$((test_ok + ${#test_bad[@]} + test_skips))
	if [ "$status" -eq 125 ] && [ ${#test_extra[@]} -gt 0 ]; then
		: # The guest ended; that says it all.
	elif [ "$status" -eq 124 ]; then
		bad "out of time"
	elif [ -z "$test_planned" ]; then
		bad "no plan: the test said nothing of how much there is to test (status $status)"
	elif [ "$seen" -lt "$test_planned" ]; then
		bad "cut short: $seen of $test_planned results (status $status)"
	elif [ "$seen" -gt "$test_planned" ] && [ ${#test_extra[@]} -eq 0 ]; then
		bad "more results than planned: $seen of $test_planned"
	elif [ "$status" -ne 0 ] && [ ${#test_bad[@]} -eq 0 ]; then
		bad "exit status $status"
	fi
	test_bad+=("${test_extra[@]}")
	test_extra=()
	count "$test_name" "$test_ok" "$test_skips" "$ms" "${test_bad[@]}"
	# A guest's CPU that stood still in the middle of a wait is a reason to look twice.
	if [ ${#test_bad[@]} -gt 0 ] && [ $(($(stolen) - test_stolen)) -gt 0 ]; then
		say "    (meanwhile others had this machine's CPUs for $(($(stolen) - test_stolen)) s)"
	fi
}

# What makes a test fail beside its own results: the kernel's log, leaks.
test_extra=()
extra() { test_extra+=("$*"); }

# count NAME PASSED SKIPPED MS [FAILURE]...
count() {
	local name=$1 item time
	passed=$((passed + $2))
	skipped=$((skipped + $3))
	time=$(printf '%d.%d s' $(($4 / 1000)) $(($4 % 1000 / 100)))
	echo "$4 $name" >>"$logs/times"
	if [ $# -eq 4 ]; then
		say "ok      $name: $2 passed$([ "$3" -eq 0 ] || echo ", $3 skipped") ($time)"
		return
	fi
	say "FAILED  $name: $2 passed, $(($# - 4)) failed$([ "$3" -eq 0 ] || echo ", $3 skipped") ($time)"
	for item in "${@:5}"; do
		failed=$((failed + 1))
		failures+=("$name: ${item%%$'\n'*}")
		say "    not ok: $item"
	done
}

# Milliseconds since the moment `$1`, a value of EPOCHREALTIME.
since() { echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000)); }

# What to look at first where a run takes too long.
longest() {
	local most
	most=$(sort -rn "$logs/times" | awk 'NR <= 12 && $1 >= 10000 { printf "%s%s %d s", NR == 1 ? "" : ", ", $2, $1 / 1000 }')
	[ -z "$most" ] || say "what took longest: $most"
}

# The value of a line `# lab-WHAT: value` (or `// lab-…`) at the head of a test.
header() { sed -nE "s,^(#|//) lab-$2:[[:space:]]*(.*[^[:space:]])[[:space:]]*$,\2,p" "$1"; }

# The last word; the status is 0 only if something ran and nothing failed.
totals() {
	local item
	if [ "$failed" -gt 0 ]; then
		say ""
		say "What failed (logs: build/test):"
		for item in "${failures[@]}"; do say "  $item"; done
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
