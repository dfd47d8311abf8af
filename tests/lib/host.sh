# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # tests/run sets what is not set here
#
# Tests that run on this machine: unit tests of the tools and of the kernel code's pure logic, the
# compile-fail harness, and the tests of the lab itself.

# Runs a program that writes KTAP, with its output to a log, and counts.
ktap_program() {
	local name=$1 limit=$2 may_skip=$3 log=$logs/${1//\//-}.log status=0 start=$EPOCHREALTIME line
	shift 3
	say "…       $name"
	timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null || status=$?
	begin "$name" "$may_skip"
	while IFS= read -r line; do feed "$line"; done <"$log"
	finish "$status" "$(since "$start")"
}

run_unit() {
	local log=$logs/unit.log status=0 start=$EPOCHREALTIME line ok=0 ignored=0 bad=()
	say "…       unit"
	"$SETUP/crates" take debug
	CARGO_HOME=$CACHE/cargo buildroot_run cargo test --offline --locked --manifest-path "$TOP/tools/Cargo.toml" \
		--target-dir "$TOP/build/tools" --workspace --no-fail-fast >"$log" 2>&1 </dev/null || status=$?
	[ "$status" -ne 0 ] || "$SETUP/crates" keep debug
	while IFS= read -r line; do
		if [[ $line =~ ^test\ result:\ .*\ ([0-9]+)\ passed\;\ ([0-9]+)\ failed\;\ ([0-9]+)\ ignored ]]; then
			ok=$((ok + BASH_REMATCH[1]))
			ignored=$((ignored + BASH_REMATCH[3]))
		elif [[ $line =~ ^test\ (.*)\ \.\.\.\ FAILED$ ]]; then
			bad+=("${BASH_REMATCH[1]}")
		fi
	done <"$log"
	[ "$ignored" -eq 0 ] || bad+=("$ignored ignored, but required")
	if [ "$status" -ne 0 ] && [ ${#bad[@]} -eq 0 ]; then
		bad=("cargo failed: $(grep -m 1 -E '^error' "$log" || tail -n 1 "$log")")
	elif [ "$ok" -eq 0 ]; then
		bad+=("no tests")
	fi
	count unit "$ok" 0 "$(since "$start")" "${bad[@]}"
}

run_compile_fail() { ktap_program compile-fail 1800 "" "$TOP/tests/compile-fail/run"; }

run_lab() {
	local file=$1
	ktap_program "lab/$(basename "$file" .sh)" "$(limit_of "$file")" "$(header "$file" may-skip)" "$file"
}
