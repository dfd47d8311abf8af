# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the runners in the guest: what the kernel complains about while a test runs.

# What nobody wants to see in a kernel's log. `Call Trace` also catches what has another heading.
splat='WARNING:|BUG:|BUG |Oops|INFO: (possible|task|suspicious|lockdep|trying|rcu|inconsistent)|'
splat+='possible (circular|recursive|irq)|inconsistent lock state|suspicious RCU usage|'
splat+='scheduling while atomic|sleeping function called|nobody cared|Disabling IRQ|'
splat+='KASAN|UBSAN|KCSAN|KFENCE|kmemleak: .*new suspected|ODEBUG|DMA-API: .*(error|leak|not freed|err)|'
splat+='refcount_t:|list_(add|del) corruption|general protection fault|unable to handle|'
splat+='soft lockup|hard LOCKUP|rcu: INFO|blocked for more than|rust_kernel: panicked|panicked at|'
splat+='unregister_netdevice: waiting|stack guard|Call Trace'

kmemleak=/sys/kernel/debug/kmemleak

# The kernel's log since the line `$1`, which somebody wrote to /dev/kmsg.
log_since() { dmesg --notime | awk -v mark="$1" 'seen { print } index($0, mark) { seen = 1 }'; }

# Of a log on stdin, the lines that must not be there, without those that match `$1` and the stack
# that the kernel shows with such a line.
find_splats() {
	SPLAT=$splat EXPECTED=$1 awk '
		ENVIRON["EXPECTED"] != "" && $0 ~ ENVIRON["EXPECTED"] { stack = NR + 20; next }
		/^Call Trace:/ && NR < stack { stack = 0; next }
		$0 ~ ENVIRON["SPLAT"] && ++found <= 40 { print "@log " $0 }'
}

looks_for_leaks() { [ -w "$kmemleak" ] && ! grep -qw kmemleak=off /proc/cmdline; }

# What has leaked before is not the tests'. The kernel's own scans every ten minutes only take their
# time away.
forget_leaks() {
	looks_for_leaks || return 0
	echo scan=off >"$kmemleak"
	echo clear >"$kmemleak"
}

# What has leaked since. What was freed a moment ago may still have its address in a register or on
# a stack, and kmemleak waits 5 s before it calls something a leak: what is seen after that is
# believed. That takes a while, so it is done once, after all files of a boot.
find_leaks() {
	local start=${EPOCHREALTIME/./}
	looks_for_leaks || return 0
	sleep 6
	echo scan >"$kmemleak"
	echo scan >"$kmemleak"
	sed 's/^/@leak /' "$kmemleak" | head -n 200
	echo "@leaks $(((${EPOCHREALTIME/./} - start) / 1000))"
}
