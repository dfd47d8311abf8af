# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the runners in the guest: what the kernel complains about while a test runs.

# What nobody wants to see in a kernel's log. `Call Trace` also catches what has another heading.
splat='WARNING:|BUG:|BUG |Oops|INFO: (possible|task|suspicious|lockdep|trying|rcu|inconsistent)|'
splat+='possible (circular|recursive|irq)|inconsistent lock state|suspicious RCU usage|'
splat+='scheduling while atomic|sleeping function called|nobody cared|Disabling IRQ|'
splat+='KASAN|UBSAN|KCSAN|KFENCE|kmemleak: .*new suspected|ODEBUG|DMA-API: .*(error|leak|not freed|err|out of memory)|'
splat+='refcount_t:|list_(add|del) corruption|general protection fault|unable to handle|'
splat+='soft lockup|hard LOCKUP|rcu: INFO|blocked for more than|rust_kernel: panicked|panicked at|'
splat+='unregister_netdevice: waiting|NETDEV WATCHDOG|DMAR: .*fault|stack guard|Call Trace'

kmemleak=/sys/kernel/debug/kmemleak
cmdline=/proc/cmdline

# The kernel's log since the line `$1`, which somebody wrote to /dev/kmsg. That it is not there any more is a splat, too.
log_since() {
	dmesg --notime | awk -v mark="$1" '
		seen { print }
		index($0, mark) { seen = 1 }
		END { if (!seen) print "WARNING: overwritten in the log: " mark }'
}

# The taint bits that say what a splat says: machine check, bad page, oops, warning, soft lockup. Those of modules that
# are out of the tree, unsigned or tests say nothing.
taint_bits=("4 M machine check" "5 B bad page" "7 D oops" "9 W warning" "14 L soft lockup")

# What the kernel's log holds from one call of `next_part` to the next is in this file. No line is in none.
log_part=$(mktemp)
log_mark=
log_marks=0

# next_part WHAT: ends a part of the log and begins the next, with a line that says WHAT. Fails if the log has not
# kept the whole part; what is left of it is in the file.
next_part() {
	local from=$log_mark
	log_marks=$((log_marks + 1))
	log_mark="lab: $1 (mark $log_marks of $$)"
	echo "<6>$log_mark" >/dev/kmsg
	dmesg --notime | awk -v from="$from" -v to="$log_mark" '
		from != "" && index($0, from) { begun = 1; n = 0; next }
		index($0, to) { ended = 1; exit }
		{ line[n++] = $0 }
		END {
			for (i = 0; i < n; i++) print line[i]
			exit !((begun || from == "") && ended)
		}' >"$log_part"
}

# Of a log on stdin, the lines that must not be there, without those that match `$1` and the stack
# that the kernel shows with such a line.
find_splats() {
	SPLAT=$splat EXPECTED=$1 awk '
		ENVIRON["EXPECTED"] != "" && $0 ~ ENVIRON["EXPECTED"] { stack = NR + 20; next }
		/^Call Trace:/ && NR < stack { stack = 0; next }
		$0 ~ ENVIRON["SPLAT"] && ++found <= 40 { print "@log " $0 }'
}

tainted=$(cat /proc/sys/kernel/tainted)

# The taints that have come since the last call, but that of a warning if `$1` is not empty. They never go, so a second
# one in the same boot is the log's to tell.
find_taints() {
	local before=$tainted bit letter what
	tainted=$(cat /proc/sys/kernel/tainted)
	while read -r bit letter what; do
		[ $(((tainted & ~before) >> bit & 1)) -eq 1 ] || continue
		[ -z "$1" ] || [ "$letter" != W ] || continue
		echo "@log the kernel is tainted since: $letter ($what)"
	done < <(printf '%s\n' "${taint_bits[@]}")
}

# check_log WHAT [EXPECTED]: ends a part of the log, and tells what must not have come up in it, in the log or as a taint.
# A warning that is meant, a line that matches EXPECTED, taints too.
check_log() {
	local expected=${2:-} meant=
	next_part "$1" || echo "@log the kernel's log was overwritten: what came before the oldest line is not known"
	find_splats "$expected" <"$log_part"
	[ -z "$expected" ] || meant=$(grep -m 1 -E -- "$expected" "$log_part")
	find_taints "$meant"
}

# The debug kernel has kmemleak and must look, unless it was told not to when it booted.
looks_for_leaks() {
	! grep -qw kmemleak=off "$cmdline" && { [ -e "$kmemleak" ] || [ "${LAB_KERNEL:-}" = debug ]; }
}

# ask_kmemleak WORD: it refuses when it had to give up, and then has nothing to say of leaks.
ask_kmemleak() { { echo "$1" >"$kmemleak"; } 2>/dev/null || echo "@blind kmemleak does not take '$1'"; }

# What has leaked before is not the tests'. The kernel's own scans every ten minutes only take their
# time away.
forget_leaks() {
	looks_for_leaks || return 0
	ask_kmemleak scan=off
	ask_kmemleak clear
}

# What has leaked since. What was freed a moment ago may still have its address in a register or on
# a stack, and kmemleak waits 5 s before it calls something a leak: what is seen after that is
# believed. That takes a while, so it is done once, after all files of a boot.
find_leaks() {
	local start=${EPOCHREALTIME/./}
	looks_for_leaks || return 0
	sleep 6
	ask_kmemleak scan
	ask_kmemleak scan
	if [ -r "$kmemleak" ]; then
		sed 's/^/@leak /' "$kmemleak" | head -n 200
	else
		echo "@blind there is no $kmemleak"
	fi
	echo "@leaks $(((${EPOCHREALTIME/./} - start) / 1000))"
}
