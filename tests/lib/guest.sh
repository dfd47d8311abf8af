# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # tests/run sets what is not set here
#
# Tests that run in a guest: the test files, and KUnit. Needs what tests/run sets.

# How many seconds a guest may take for what is no test: to boot, twice if the lab starts it again, and to look
# for leaks.
idle_limit() { [ "$run_kernel" = debug ] && echo 900 || echo 300; }

# The lab's answer to `run-tests` or `run-kunit` (scripts/guest/bin), line by line. Sets `reached`,
# the number of files that came to an end, and `overdue` if the guest was given up. It looks at the time
# itself, but a guest that hangs can't.
read_results() {
	local kind=$1 name='' start='' line ms leaks=() after=() end shown=0 limit
	reached=0 overdue=
	end=$((SECONDS + $(idle_limit)))
	while next_line; do
		case $line in
		"@begin "*)
			limit=$(LAB_KERNEL=$run_kernel limit_of "${line#@begin }")
			end=$((SECONDS + limit + 60)) shown=$SECONDS
			name=$kind/$(basename "${line#@begin }")
			name=${name%.sh}
			name=${name%.ko}
			start=$EPOCHREALTIME
			log=$logs/${name//\//-}.log
			: >"$log"
			begin "$name" "$([ "$kind" = kunit ] || header "${line#@begin }" may-skip | paste -sd '|')"
			continue
			;;
		"@log "*)
			if [ -n "$name" ]; then extra "kernel log: ${line#@log }"; else after+=("kernel log: ${line#@log }"); fi
			;;
		"@leak "*)
			echo "${line#@leak }" >>"$logs/boot-$boot.leaks"
			case $line in "@leak unreferenced"*) leaks+=("${line#@leak } (build/test/boot-$boot.leaks)") ;; esac
			;;
		"@blind "*) leaks+=("${line#@blind }") ;;
		"@leaks "*)
			read -r _ ms <<<"$line"
			count "$kind/kmemleak" "$((${#leaks[@]} == 0))" 0 "$ms" "${leaks[@]}"
			leaks=()
			;;
		"@left "*) extra "left the module ${line#@left } loaded" ;;
		"@end "*)
			[ "$kind" != kunit ] || kunit_results "$log"
			read -r _ status ms <<<"$line"
			finish "$status" "$ms"
			reached=$((reached + 1))
			name=
			end=$((SECONDS + $(idle_limit)))
			continue
			;;
		*) [ -z "$name" ] || feed_of "$kind" "$line" ;;
		esac
		[ -z "$name" ] || printf '%s\n' "$line" >>"$log"
	done
	# What the kernel said when no file ran any more.
	[ ${#after[@]} -eq 0 ] || count "$kind/end" 0 0 0 "${after[@]}"
	# The guest ended in the middle of this one.
	if [ -n "$name" ]; then
		interrupted=1
		test_interrupted_ms=$(since "$start")
	fi
}

# The next line for `read_results`, whose variables these are; fails if there is none, or not in time.
next_line() {
	local part='' status=0 left
	while :; do
		show_progress
		left=$((end - SECONDS))
		IFS= read -r -t $((left < 1 ? 1 : left < 5 ? left : 5)) line || status=$?
		# A line may come in parts.
		part+=$line line=$part
		[ "$status" -ne 0 ] || return 0
		[ "$status" -gt 128 ] || return 1
		[ "$SECONDS" -lt "$end" ] || {
			overdue=1
			return 1
		}
		status=0
	done
}

# Where a file is that takes long: every half minute.
show_progress() {
	[ -n "$name" ] && [ $((SECONDS - shown)) -ge 30 ] || return 0
	shown=$SECONDS
	say "…       $name: $(($(since "$start") / 1000)) s of at most $limit${test_planned:+, $((test_ok + ${#test_bad[@]} + test_skips)) of $test_planned results}${test_at:+, $test_at}"
}

# KUnit's lines are read by the kernel's own parser, at the end.
feed_of() { [ "$1" = kunit ] || feed "$2"; }

# Boots a guest and has it run the files, again after one that took the guest down with it.
run_files() {
	local kind=$1 needs=$2 runner=$3 devices cpus threads append more status err file reason limit accel=${LAB_ACCEL:-}
	shift 3
	IFS='|' read -r devices cpus threads append more <<<"$needs"
	# What patches code that runs on another CPU at that moment is beyond QEMU's threads.
	if [ "$threads" = single ] && [ -z "$accel" ] && ! can_kvm; then accel=tcg,thread=single; fi
	while [ $# -gt 0 ]; do
		boot=${boot%.*}.$((${boot##*.} + 1))
		err=$logs/boot-$boot.err
		say "…       booting the $run_kernel kernel for $# $kind file$([ $# -eq 1 ] || echo s)${devices:+ with $devices}"
		interrupted=
		status=0
		limit=300
		for file in "$@"; do limit=$((limit + $(LAB_KERNEL=$run_kernel limit_of "$file"))); done
		exec 6< <(
			LAB_KERNEL=$run_kernel LAB_DEVICES=$devices LAB_CPUS=$cpus LAB_ACCEL=$accel \
				LAB_APPEND="${LAB_APPEND:-} log_buf_len=1M $append $more" LAB_PASS="${LAB_PASS:-} LAB_LONG" LAB_CONSOLE=$logs/boot-$boot.console LAB_TIMEOUT=$limit \
				"$TOP/scripts/lab" "$runner $*" 2>"$err" </dev/null
			echo "$?" >"$logs/boot-$boot.status"
		)
		lab_pid=$!
		read_results "$kind" <&6
		[ -z "$overdue" ] || pkill -P "$lab_pid" || :
		exec 6<&-
		wait "$lab_pid" 2>/dev/null || :
		status=$(cat "$logs/boot-$boot.status" 2>/dev/null || echo 125)
		[ "$status" -ne 0 ] || [ -n "$interrupted" ] || [ "$reached" -ne $# ] || return 0
		tail -n 15 "$err" | sed 's/^/    | /' >&2
		reason="the guest ended: $(grep '^lab: ' "$err" | tail -n 1 | sed 's/^lab: //' | grep . || echo "status $status")"
		[ -z "$overdue" ] || reason="the guest hangs: it says nothing of the time being over"
		if [ "$reached" -eq 0 ] && [ -z "$interrupted" ]; then
			# It never came to run tests; another boot won't either.
			for file in "$@"; do guest_ended "$kind" "$file"; done
			return 0
		fi
		shift "$reached"
		[ $# -gt 0 ] || {
			# It looked for leaks, or was about to end.
			count "$kind/end" 0 0 0 "$reason"
			return 0
		}
		guest_ended "$kind" "$1"
		shift
	done
}

# Counts the file that was being run, or would have been next, as failed.
guest_ended() {
	[ -n "$interrupted" ] || begin "$1/$(basename "${2%.*}")"
	extra "$reason"
	finish 125 "${test_interrupted_ms:-0}"
	test_interrupted_ms=0
}
# A boot's logs are called by the job and its number in it.
boot=0.0
test_interrupted_ms=0

# What must be the same for tests that share a boot.
needs_of() {
	local what
	for what in devices cpus threads append; do
		printf '%s|' "$(header "$1" "$what" | head -n 1)"
	done
	# It makes programs start half as fast. Where it is of use, the file says so; in a long run it is on.
	[ "$LAB_KERNEL" != debug ] || [ -n "${LAB_LONG:-}$(header "$1" kmemleak)" ] || printf 'kmemleak=off'
}

# A file that has nothing to show on this kernel.
not_here() {
	skipped=$((skipped + 1))
	say "skipped $1: only for the kernels $2"
}

# Guest tests, those with the same needs in one boot, but not so many that the boot is the last to end: what may take
# longest by its header begins first.
most_files=9
most_seconds=1000
guest_jobs() {
	local file need other group kernels sum files=() groups=()
	local -A taken=() needs=() seconds=()
	run_kernel=$LAB_KERNEL
	for file in "$@"; do
		kernels=$(header "$file" kernels)
		case " ${kernels:-$LAB_KERNEL} " in
		*" $LAB_KERNEL "*) ;;
		*)
			not_here "guest/$(basename "$file" .sh)" "$kernels"
			continue
			;;
		esac
		files+=("$file")
		needs[$file]=$(needs_of "$file")
		seconds[$file]=$(header "$file" timeout | grep . || echo 60)
	done
	for file in "${files[@]}"; do
		[ -z "${taken[$file]:-}" ] || continue
		need=${needs[$file]}
		group=() sum=0
		for other in "${files[@]}"; do
			[ -z "${taken[$other]:-}" ] || continue
			[ "${needs[$other]}" = "$need" ] || continue
			[ ${#group[@]} -eq 0 ] ||
				{ [ ${#group[@]} -lt $most_files ] && [ $((sum + seconds[$other])) -le $most_seconds ]; } || continue
			taken[$other]=1
			group+=("$other") sum=$((sum + seconds[$other]))
		done
		groups+=("$sum"$'\t'"$need"$'\t'"${group[*]}")
	done
	mapfile -t groups < <(printf '%s\n' "${groups[@]}" | sort -s -n -r -k 1,1)
	for file in "${groups[@]}"; do
		IFS=$'\t' read -r _ need other <<<"$file"
		read -ra group <<<"$other"
		job run_files guest "$need" run-tests "${group[@]}"
	done
}

# Has the kernel's own tool read a suite's log, and takes its counts.
kunit_results() {
	local parsed=$1.parsed line
	# The tool sees what follows the last timestamp prefix; the log is without.
	grep -v '^@' "$1" >"$1.ktap" || :
	buildroot_run python3 "$(readlink -f "$CACHE/kernels/$kunit_kernel/source")/tools/testing/kunit/kunit.py" \
		parse "$1.ktap" >"$parsed" 2>&1 </dev/null || :
	line=$(sed 's/\x1b\[[0-9;]*m//g' "$parsed" | grep -E 'Testing complete\. *(Ran|Passed)|Testing complete' | tail -n 1)
	test_planned=0
	[[ $line =~ Ran\ ([0-9]+)\ tests ]] && test_planned=${BASH_REMATCH[1]}
	[[ $line =~ passed:\ ([0-9]+) ]] && test_ok=${BASH_REMATCH[1]}
	[[ $line =~ skipped:\ ([0-9]+) ]] && test_skips=${BASH_REMATCH[1]}
	if [ "$test_planned" -eq 0 ]; then
		bad "kunit.py found no tests: ${line:-$(tail -n 1 "$parsed")}"
		test_planned=1
		return
	fi
	while IFS= read -r line; do
		bad "$line"
	done < <(sed 's/\x1b\[[0-9;]*m//g' "$parsed" | grep -vE '===' |
		sed -nE 's/^.*\[(FAILED|CRASHED|TIMEOUT|ERROR)\] *//p')
	if [[ $(sed 's/\x1b\[[0-9;]*m//g' "$parsed") =~ (failed|crashed|errors):\ ([0-9]+) ]] && [ ${#test_bad[@]} -eq 0 ]; then
		bad "${BASH_REMATCH[0]}"
	fi
	if [ ${#test_bad[@]} -gt 0 ]; then sed 's/^/    | /' "$parsed" >&2; fi
}

run_kunit() {
	local LAB_APPEND=${LAB_APPEND:-}
	local file kernels files=()
	run_kernel=$kunit_kernel
	for file in "$@"; do
		kernels=$(header "kunit/$(basename "$file" .ko).rs" kernels)
		case " ${kernels:-$run_kernel} " in
		*" $run_kernel "*) files+=("$file") ;;
		*) not_here "kunit/$(basename "$file" .ko)" "$kernels" ;;
		esac
	done
	[ ${#files[@]} -gt 0 ] || return 0
	# Suites in modules run only if the kernel was told so when it booted.
	export LAB_APPEND="$LAB_APPEND kunit.autorun=1"
	run_files kunit "edu-msi+rng-modern|2||" run-kunit "${files[@]}"
}
