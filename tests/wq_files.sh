#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-timeout: 300
# lab-kmemleak: what is left of what was refused
#
# The files of rust_workqueue: what they take, what they refuse, and what they do.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 60

check_fails "no such source" modprobe $driver source=disk
check_fails "no timer at all" modprobe $driver source=timer timers=0
check_fails "more timers than there may be" modprobe $driver source=timer timers=17
check_fails "a rate beyond the limit" modprobe $driver source=timer rate_hz=20001

load_timer timers=2
check "there are as many timers as were asked for" test -d $debugfs/timer0 -a -d $debugfs/timer1 -a ! -e $debugfs/timer2

assert_match "percpu comes first" '^\[percpu\] ' "$(cat "$(wq $timer queue)")"
queues=$(tr -d '[]' <"$(wq $timer queue)")
assert_eq "there is a queue of each kind" 22 "$(wc -w <<<"$queues")"
for queue in $queues; do
	set_up "$queue"
	burst 3
	assert_eq "$queue: an item each" "$queue 3 $(counter $timer "work/$queue.runs")" \
		"$(of_burst queue) $(of_burst 'done') 3"
done

set_up percpu
write_errno "no such queue" EINVAL "$(wq $timer queue)" slow
write_errno "not a number of items" EINVAL "$(wq $timer burst)" many
write_errno "no item" ERANGE "$(wq $timer burst)" 0
write_errno "too many items" ERANGE "$(wq $timer burst)" 4097
write_errno "a cost beyond the limit" ERANGE "$(wq $timer cost_us)" 1000001
write_errno "a sleep beyond the limit" ERANGE "$(wq $timer sleep_us)" 60000001
write_errno "a delay beyond the limit" ERANGE "$(wq $timer delay_ms)" 60001
write_errno "no such CPU" ERANGE "$(wq $timer cpu)" 1000
write_errno "not a CPU" EINVAL "$(wq $timer cpu)" first
write_errno "a rate beyond the limit" ERANGE "$(wq $timer rate_hz)" 20001
write_errno "flush takes 1" EINVAL "$(wq $timer flush)" 2
write_errno "drain takes 1" EINVAL "$(wq $timer drain)" now
write_errno "cancel takes 1 and sync" EINVAL "$(wq $timer cancel)" all
write_errno "a table of no items" ERANGE "$(wq $timer matrix)" 0
set_up percpu cost_us 1000000
write_errno "a table that takes too long" ERANGE "$(wq $timer matrix)" 100
set_up system_percpu sleep_us 50000
begin_burst 4
check "drain of a queue of the system's" sh -c "echo 1 >$(wq $timer drain)"
assert_eq "it has waited for our items" 4 "$(of_burst 'done')"

# Flush waits for all that was queued, drain for that and what the items queue.
for file in flush drain; do
	set_up percpu sleep_us 100000
	begin_burst 8
	check "$file" sh -c "echo 1 >$(wq $timer $file)"
	assert_eq "$file has waited" 8 "$(of_burst 'done')"
done
set_up system_dfl sleep_us 100000
begin_burst 4
check "flush of a queue of the system's" sh -c "echo 1 >$(wq $timer flush)"
assert_eq "it has waited for our items" 4 "$(of_burst 'done')"

# Cancel takes back what has not begun; what runs goes on.
set_up ordered sleep_us 5000000
begin_burst 8
wait_for 20 sh -c "grep -qx 'running 1' $(wq $timer burst)"
check "cancel" sh -c "echo 1 >$(wq $timer cancel)"
assert_eq "the one that runs is not cancelled" 7 "$(of_burst cancelled)"
assert_eq "and goes on" 1 "$(of_burst running)"
check "cancel, and wait" sh -c "echo sync >$(wq $timer cancel)"
assert_eq "it has waited" "0 1 7" "$(of_burst running) $(of_burst 'done') $(of_burst cancelled)"

# What is delayed can be taken back as well.
set_up percpu delay_ms 60000
begin_burst 5
write_errno "no burst beside one that has not ended" EBUSY "$(wq $timer burst)" 1
check "cancel what is delayed" sh -c "echo 1 >$(wq $timer cancel)"
assert_eq "all of it" "0 5" "$(of_burst 'done') $(of_burst cancelled)"
