#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
#
# Interrupt storms: a source that is never acknowledged, and one that is but never stops. Each is
# found, masked, polled at a bounded rate and released when it is calm, is logged once, and nothing
# is lost, not even what the storming device is asked for meanwhile; the other user of a shared line goes on.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 75

work=$(mktemp -d)
on_exit rm -rf "$work"

# Guest tests share a boot, and in another one the kernel is meant to.
disabled_lines() { dmesg | grep -c 'nobody cared' || :; }
disabled=$(disabled_lines)

state_is() { [ "$(field "$1" storm state)" = "$2" ]; }
episode_begun() { [ "$(field "$1" storm episodes)" -gt "$2" ]; }
handled() { echo $(($(counter "$1" hardirq.handled) + $(counter "$1" hardirq.wake_thread))); }
storm_lines() { driver_log | grep -c "$1.*interrupt storm" || :; }

# One episode of $2 on $1, whose reason should be $3; with $4, the device that shares the line.
episode() {
	local device=$1 source=$2 reason=$3 other=${4:-} before polls start ms
	local name="$2 on $1"

	mark_log
	before=$(field "$device" storm episodes)
	polls=$(field "$device" storm polls)
	start=${EPOCHREALTIME/./}
	check "$name: starts" sh -c "echo $source 3000 >$(edu "$device" storm)"
	check "$name: is found" wait_for 30 episode_begun "$device" "$before"
	assert_eq "$name: for this reason" "$reason" "$(field "$device" storm reason)"

	if [ -n "$other" ]; then
		check "$name: the other user of the line goes on" timeout 30 sh -c "echo '50 paced' >$(edu "$other" trigger)"
		assert_eq "$name: and has its 50 interrupts" 50 \
			$(($(counter "$other" hardirq.handled) + $(counter "$other" hardirq.wake_thread) - ${other_before:-0}))
		other_before=$(($(counter "$other" hardirq.handled) + $(counter "$other" hardirq.wake_thread)))
	fi

	check "$name: is released when it is over" wait_for 30 state_is "$device" calm
	polls=$(($(field "$device" storm polls) - polls))
	ms=$(((${EPOCHREALTIME/./} - start) / 1000))
	diag "$name: $polls polls in $ms ms"
	assert_le "$name: is polled at most once a millisecond" $((ms + 1)) "$polls"
	assert_eq "$name: is logged once an episode" $(($(field "$device" storm episodes) - before)) "$(storm_lines "$device")"
	check "$name: interrupts are served afterwards" timeout 30 sh -c "echo '20 paced' >$(edu "$device" trigger)"
	settle "$device"
}

load_pair storm_limit=2000
for device in $edu0 $edu1 $edu2; do
	echo 1 >"$(edu "$device" timing)"
done
assert_eq "the parameter storm_limit is heard" 2000 "$(cat "$(edu $edu0 storm_limit)")"

episode $edu0 noack unacknowledged $edu1
episode $edu2 noack unacknowledged
echo none >"$(edu $edu2 defer)"
episode $edu2 ack rate

# In the middle of one, which ends when it is told to: nothing here depends on how long it takes. A factorial is done
# when the device has interrupted and the thread has seen it. The other user of the line comes and goes as ever.
contained() {
	local device=$1 other=${2:-} name="in a storm on $1" defer items recorded polls served
	polled() { [ "$(field "$device" storm polls)" -gt "$polls" ]; }
	recorded_to() { [ "$(field "$device" journal recorded)" -ge "$1" ]; }
	trigger() { timeout 90 sh -c "echo '$2 paced' >$(edu "$1" trigger)"; }
	# Both wait for the line's handlers, and those for the threads of all its users.
	bind() { echo "$2" | timeout 90 tee "/sys/bus/pci/drivers/$driver/$1"; }

	defer=$(cat "$(edu "$device" defer)")
	echo thread >"$(edu "$device" defer)"
	items=$(counter "$device" thread.items)
	polls=$(field "$device" storm polls)
	echo "noack 60000" >"$(edu "$device" storm)"
	check "$name: it is polled" wait_for 30 polled
	recorded=$(field "$device" journal recorded)
	check "$name: a factorial is computed" sh -c "echo 6 >$(edu "$device" factorial)"
	assert_eq "$name: it is right" "6 720 0" \
		"$(field "$device" factorial n) $(field "$device" factorial value) $(field "$device" factorial result)"
	check "$name: what is triggered is served" trigger "$device" 10
	assert_eq "$name: without an error" "10 10 0" \
		"$(field "$device" trigger requested) $(field "$device" trigger raised) $(field "$device" trigger result)"
	check "$name: the thread has seen it all" wait_for 30 recorded_to $((recorded + 11))
	if [ -n "$other" ]; then
		served=$(handled "$other")
		check "$name: the other user of the line is served" trigger "$other" 50
		assert_eq "$name: it had its 50 interrupts" 50 $(($(handled "$other") - served))
		check "$name: it is unbound" bind unbind "$other"
		echo 0 >"$pci/$other/msi_bus"
		check "$name: and bound again" bind bind "$other"
		echo 1 >"$pci/$other/msi_bus"
		check "$name: and served" trigger "$other" 20
		assert_eq "$name: it had 20 interrupts" 20 "$(handled "$other")"
	fi
	assert_eq "$name: it is masked still" "masked noack" \
		"$(field "$device" storm state) $(field "$device" storm source)"

	echo stop >"$(edu "$device" storm)"
	check "$name: it is released" wait_for 30 state_is "$device" calm
	settle "$device"
	# The storm's own cause is one when it is not held back any more.
	assert_eq "$name: the thread had the factorial, the 10, and what stormed" 12 $(($(counter "$device" thread.items) - items))
	echo "$defer" >"$(edu "$device" defer)"
}
contained $edu0 $edu1
contained $edu2

assert_eq "the kernel disabled no line" "$disabled" "$(disabled_lines)"

# The limit can be changed at work. Without one the same storm goes on until it ends by itself.
over() { [ "$(field $edu2 storm source)" = none ]; }
before=$(field $edu2 storm episodes)
runs=$(counter $edu2 hardirq.runs)
echo 0 >"$(edu $edu2 storm_limit)"
echo "ack 300" >"$(edu $edu2 storm)"
check "a storm without a limit has an end" wait_for 30 over
assert_ge "it was one" 400 $(($(counter $edu2 hardirq.runs) - runs))
assert_eq "it was not taken for one" "$before" "$(field $edu2 storm episodes)"
echo 1500 >"$(edu $edu2 storm_limit)"
assert_eq "the limit that was written is read back" "1500 1500" "$(cat "$(edu $edu2 storm_limit)") $(field $edu2 storm limit)"
echo "ack 300" >"$(edu $edu2 storm)"
check "with it the next one is found" wait_for 30 episode_begun $edu2 "$before"
check "and released" wait_for 30 state_is $edu2 calm

# A source that goes on after the storm, far below the limit, is none: it is not masked for ever. Factorials are asked
# for at intervals shorter than the polls that are looked at together, and longer than one.
mkfifo "$work/never"
exec 3<>"$work/never"
drip() {
	while [ -e "$work/drip" ] && echo 5 >"$(edu "$1" factorial)"; do
		read -rt 0.01 -u 3 || :
	done
	[ ! -e "$work/drip" ]
}
# drips DEVICE: begins, several times, as one is slow under emulation.
drips() {
	touch "$work/drip"
	drip_pids=()
	for _ in 1 2 3 4; do
		drip "$1" >"$work/said" 2>&1 &
		drip_pids+=($!)
	done
}
# Ends it; the status is 0 if each was served.
dry() {
	local pid status=0
	rm "$work/drip"
	for pid in "${drip_pids[@]}"; do wait "$pid" || status=$?; done
	return $status
}
ordered_none() { [ "$(field "$1" storm source)" = none ]; }
beyond() { [ "$(counter "$1" hardirq.runs)" -gt "$2" ]; }

echo 2000 >"$(edu $edu2 storm_limit)"
for device in $edu0 $edu2; do
	echo thread >"$(edu "$device" defer)"
	drips "$device"
	check "$device interrupts at a steady slow rate" wait_for 30 beyond "$device" $(($(counter "$device" hardirq.runs) + 10))
	before=$(field "$device" storm episodes)
	echo "noack 300" >"$(edu "$device" storm)"
	check "and storms at the same time" wait_for 30 episode_begun "$device" "$before"
	wait_for 30 ordered_none "$device"
	polls=$(field "$device" storm polls)
	check "when that is over it is released, though the source goes on" wait_for 30 state_is "$device" calm
	assert_le "after a few looks" 400 $(($(field "$device" storm polls) - polls))
	status=0
	dry || status=$?
	assert_eq "each of its interrupts was served" 0 $status
	settle "$device"
done

# A low limit is measured over a second. Where the first window begins is open, so there are enough for two.
before=$(field $edu2 storm episodes)
echo 9 >"$(edu $edu2 storm_limit)"
echo "9 paced" >"$(edu $edu2 trigger)"
assert_eq "9 interrupts are none too many for a limit of 9" "$before" "$(field $edu2 storm episodes)"
echo "20 paced" >"$(edu $edu2 trigger)"
assert_eq "but 20 at once are" $((before + 1)) "$(field $edu2 storm episodes)"
settle $edu2
echo 2000 >"$(edu $edu2 storm_limit)"

# Called off from outside, long before its time.
echo "noack 60000" >"$(edu $edu2 storm)"
wait_for 30 state_is $edu2 masked
write_errno "one storm at a time" EBUSY "$(edu $edu2 storm)" "ack 10"
echo stop >"$(edu $edu2 storm)"
check "a storm that is called off is over at once" wait_for 20 state_is $edu2 calm

sound $edu0 $edu1 $edu2
