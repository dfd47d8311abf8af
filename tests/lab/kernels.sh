#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: builds the modules for another kernel
# lab-timeout: 900
#
# The modules build for the stock kernel that the other tests do not use: it has options that the one for clouds has
# not, and with them fields and types that the bindings must know.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 2
check "the modules build for the rt kernel" scripts/setup/modules rt
assert_eq "all of them" "irqkit rust_irq_demo rust_napi_net rust_workqueue" \
	"$(find build/rt -maxdepth 1 -name '*.ko' -printf '%f\n' | sed 's/\.ko$//' | sort | paste -sd ' ')"
