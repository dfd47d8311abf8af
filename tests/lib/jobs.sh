# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # tests/run sets what is not set here
#
# Parts of the tests, side by side. Needs report.sh, and `logs`. (`jobs` is a function of lib.sh.)
#
#   job COMMAND...   runs a function of tests/run beside the others, as soon as there is room
#   wait_for_jobs    waits for all, and adds up what they counted

jobs_begun=0
jobs_running=0
job_pids=()
jobs_at_once=${TEST_JOBS:-}

# Two at least: half of the time a guest waits for something.
most_jobs() {
	local pairs=$(($(nproc) / 2))
	echo $((pairs < 2 ? 2 : pairs > 8 ? 8 : pairs))
}
[[ $jobs_at_once =~ ^[1-9][0-9]*$ ]] || jobs_at_once=$(most_jobs)

# In a process of its own, so with counts of its own, which it leaves in a file.
run_job() {
	passed=0 failed=0 skipped=0 failures=()
	boot=$1.0
	"${@:2}"
	declare -p passed failed skipped failures >"$logs/job-$1.new" && mv "$logs/job-$1.new" "$logs/job-$1"
}

job() {
	# Not by asking `jobs`, which knows of none in a subshell.
	if [ "$jobs_running" -ge "$jobs_at_once" ]; then
		wait -n || :
		jobs_running=$((jobs_running - 1))
	fi
	jobs_begun=$((jobs_begun + 1))
	printf '%s\n' "$*" >"$logs/job-$jobs_begun.what"
	# A process group of its own, so that all of it can be stopped.
	set -m
	run_job $jobs_begun "$@" </dev/null &
	job_pids+=($!)
	set +m
	jobs_running=$((jobs_running + 1))
}

wait_for_jobs() {
	local i sums_passed=$passed sums_failed=$failed sums_skipped=$skipped all=("${failures[@]}")
	wait
	job_pids=()
	for ((i = 1; i <= jobs_begun; i++)); do
		passed=0 failed=1 skipped=0 failures=("$(cat "$logs/job-$i.what"): it came to no end")
		# shellcheck disable=SC1090 # declare's own words
		[ ! -e "$logs/job-$i" ] || eval "$(sed 's/^declare /declare -g /' "$logs/job-$i")"
		sums_passed=$((sums_passed + passed)) sums_failed=$((sums_failed + failed)) sums_skipped=$((sums_skipped + skipped))
		all+=("${failures[@]}")
	done
	passed=$sums_passed failed=$sums_failed skipped=$sums_skipped failures=("${all[@]}")
}

stop_jobs() {
	local pid
	for pid in "${job_pids[@]}"; do kill -- "-$pid" 2>/dev/null || :; done
}
trap stop_jobs EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
