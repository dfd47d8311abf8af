#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
# lab-kmemleak: what is left of DMA both ways
#
# The device's real work, whose end it tells by an interrupt: factorials and DMA, under INTx and
# under MSI, whatever way interrupts are handed on.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 34

factorial() { echo "$2" >"$(edu "$1" factorial)" && field "$1" factorial value; }
dma() { echo "$2" >"$(edu "$1" dma)" && field "$1" dma result; }

load irq_mode=auto
expected=1
for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do
	[ "$n" -eq 0 ] || expected=$((expected * n))
	assert_eq "$n!" $expected "$(factorial $edu2 "$n")"
done

assert_eq "one byte" 0 "$(dma $edu2 "roundtrip 1")"
assert_eq "all bytes there are" 0 "$(dma $edu2 "roundtrip 4095")"
assert_eq "moved both ways" 8190 "$(field $edu2 dma bytes)"
assert_eq "unchanged" 0 "$(field $edu2 dma mismatches)"
assert_eq "the last byte" 0 "$(dma $edu2 "roundtrip 1 4094")"
assert_eq "in the middle" 0 "$(dma $edu2 "roundtrip 1000 17")"

dma $edu2 "to 100 64" >/dev/null
sent=$(field $edu2 dma checksum)
dma $edu2 "from 100 64" >/dev/null
assert_eq "what was sent stays in the device" "$sent" "$(field $edu2 dma checksum)"
dma $edu2 "to 100 64" >/dev/null
assert_ne "every transfer sends other data" "$sent" "$(field $edu2 dma checksum)"

# The thread has the result to fetch, also when all else goes elsewhere.
for way in none tasklet tasklet_hi all; do
	echo $way >"$(edu $edu2 defer)"
	assert_eq "12! with defer set to $way" 479001600 "$(factorial $edu2 12)"
	assert_eq "DMA with defer set to $way" 0 "$(dma $edu2 "roundtrip 100")"
done

load irq_mode=intx
assert_eq "12! under INTx" 479001600 "$(factorial $edu0 12)"
assert_eq "DMA under INTx" 0 "$(dma $edu0 "roundtrip 4095")"

# Together with interrupts of no meaning that claim to be the ends of both.
echo "300 0x101 acked" >"$(edu $edu0 trigger)" &
assert_eq "12! under false ends" 479001600 "$(factorial $edu0 12)"
assert_eq "DMA under false ends" 0 "$(dma $edu0 "roundtrip 4095")"
wait

# So many of them that some come just before the transfer begins.
load irq_mode=auto storm_limit=0
echo none >"$(edu $edu2 defer)"
(while [ -e "$(edu $edu2 trigger)" ] && echo "2000 0x100 burst" >"$(edu $edu2 trigger)"; do :; done) 2>/dev/null &
results=
for ((i = 0; i < 20; i++)); do
	results+=$(dma $edu2 "roundtrip 64" 2>&1 || :)
done
unload
wait
assert_eq "20 times DMA under more false ends" "$(printf '0%.0s' {1..20})" "$results"
