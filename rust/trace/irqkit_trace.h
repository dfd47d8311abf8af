/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of irqkit's paths. Their Rust side is rust/irqkit/trace.rs.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM irqkit

#if !defined(_IRQKIT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _IRQKIT_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>

/*
 * Arrays, not __string(): bpftrace reads those as args.path, while it has
 * nothing to show for dynamic strings. A longer name is cut.
 */
#ifndef IRQKIT_TRACE_NAME
#define IRQKIT_TRACE_NAME 32
#endif

/*
 * A request to run was made. @coalesced: one was pending already, which serves
 * both.
 */
TRACE_EVENT(path_schedule,

	TP_PROTO(const char *device, const char *path, bool coalesced),

	TP_ARGS(device, path, coalesced),

	TP_STRUCT__entry(
		__array(char, device, IRQKIT_TRACE_NAME)
		__array(char, path, IRQKIT_TRACE_NAME)
		__field(bool, coalesced)
	),

	TP_fast_assign(
		strscpy_pad(__entry->device, device);
		strscpy_pad(__entry->path, path);
		__entry->coalesced = coalesced;
	),

	TP_printk("device=%s path=%s coalesced=%d",
		  __entry->device, __entry->path, __entry->coalesced)
);

/*
 * A run ended. @wait_ns: from the request, or from its cause where that is
 * known, to the start; 0 if the request was made before anyone was watching.
 * @run_ns: from the start to the end. @items: units of work done.
 */
TRACE_EVENT(path_run,

	TP_PROTO(const char *device, const char *path, u64 wait_ns, u64 run_ns,
		 u64 items),

	TP_ARGS(device, path, wait_ns, run_ns, items),

	TP_STRUCT__entry(
		__array(char, device, IRQKIT_TRACE_NAME)
		__array(char, path, IRQKIT_TRACE_NAME)
		__field(u64, wait_ns)
		__field(u64, run_ns)
		__field(u64, items)
	),

	TP_fast_assign(
		strscpy_pad(__entry->device, device);
		strscpy_pad(__entry->path, path);
		__entry->wait_ns = wait_ns;
		__entry->run_ns = run_ns;
		__entry->items = items;
	),

	TP_printk("device=%s path=%s wait_ns=%llu run_ns=%llu items=%llu",
		  __entry->device, __entry->path, __entry->wait_ns,
		  __entry->run_ns, __entry->items)
);

#endif /* _IRQKIT_TRACE_H */

/* This part must be outside protection */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE irqkit_trace
#include <trace/define_trace.h>
