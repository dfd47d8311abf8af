#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: builds the modules for another kernel
# lab-timeout: 900
#
# The modules build for the stock kernel that the other tests do not use, and work there: it has options that the one
# for clouds has not, and with them fields and types that the bindings must know; and it is PREEMPT_RT.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 6
out=$(mktemp -d)
on_exit rm -rf "$out"
check "the modules build for the rt kernel" scripts/setup/modules rt
assert_eq "all of them" "irqkit rust_irq_demo rust_napi_net rust_workqueue" \
	"$(find build/rt -maxdepth 1 -name '*.ko' -printf '%f\n' | sed 's/\.ko$//' | sort | paste -sd ' ')"
status=0
# shellcheck disable=SC2016 # for the guest's shell
LAB_KERNEL=rt LAB_NO_BUILD=1 LAB_CONSOLE=$out/console LAB_DEVICES=edu2-intx+edu-msi+rng+net scripts/lab '
	uname -v
	modprobe rust_irq_demo && modprobe rust_workqueue && modprobe rust_napi_net || exit
	cd /sys/kernel/debug/rust_irq_demo
	for device in *; do
		echo all >$device/defer && echo "20 paced" >$device/trigger
	done
	sleep 1
	cat */stats | awk "{ sub(/.*\//, \"\"); if (\$1 ~ /^(hardirq.handled|hardirq.wake_thread|thread.items|tasklet.items|tasklet_hi.items)$/) sum[\$1] += \$2 }
		END { for (name in sum) print name, sum[name] }" | sort
	modprobe -r rust_irq_demo rust_workqueue rust_napi_net irqkit
	. /lab/scripts/guest/splat.sh
	dmesg | grep -E "$splat" >&2
	exit 0' >"$out/said" 2>"$out/err" || status=$?
assert_eq "they load there, and go" 0 "$status"
assert_match "it is PREEMPT_RT" PREEMPT_RT "$(sed -n 1p "$out/said")"
assert_eq "each interrupt goes every way" "tasklet.items 60 tasklet_hi.items 60 thread.items 60" \
	"$(grep items "$out/said" | paste -sd ' ')"
assert_eq "and the kernel has nothing to say" "" "$(cat "$out/err")"
