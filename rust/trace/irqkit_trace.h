/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of irqkit's paths. Their Rust side is rust/irqkit/trace.rs.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM irqkit

#if !defined(_IRQKIT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _IRQKIT_TRACE_H

#include <linux/tracepoint.h>

/*
 * A request to run was made. @coalesced: one was pending already, which serves
 * both.
 */
TRACE_EVENT(path_schedule,

	TP_PROTO(const char *device, const char *path, bool coalesced),

	TP_ARGS(device, path, coalesced),

	TP_STRUCT__entry(
		__string(device, device)
		__string(path, path)
		__field(bool, coalesced)
	),

	TP_fast_assign(
		__assign_str(device);
		__assign_str(path);
		__entry->coalesced = coalesced;
	),

	TP_printk("device=%s path=%s coalesced=%d",
		  __get_str(device), __get_str(path), __entry->coalesced)
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
		__string(device, device)
		__string(path, path)
		__field(u64, wait_ns)
		__field(u64, run_ns)
		__field(u64, items)
	),

	TP_fast_assign(
		__assign_str(device);
		__assign_str(path);
		__entry->wait_ns = wait_ns;
		__entry->run_ns = run_ns;
		__entry->items = items;
	),

	TP_printk("device=%s path=%s wait_ns=%llu run_ns=%llu items=%llu",
		  __get_str(device), __get_str(path), __entry->wait_ns,
		  __entry->run_ns, __entry->items)
);

#endif /* _IRQKIT_TRACE_H */

/* This part must be outside protection */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE irqkit_trace
#include <trace/define_trace.h>
