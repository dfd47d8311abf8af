// SPDX-License-Identifier: GPL-2.0

//! Which CPUs work for which pair of queues.

/// Returns whether `cpu`, of so many `cpus` counted from 0, is one of those that work for `pair`, of so
/// many `pairs`.
///
/// Each pair has as many CPUs as there are for each, and none less than one: where there are more
/// pairs than CPUs, a CPU has several.
pub(crate) fn works_for(cpu: usize, cpus: usize, pair: usize, pairs: usize) -> bool {
    cpu.checked_rem(pairs) == pair.checked_rem(cpus) && pair < pairs && cpu < cpus
}
