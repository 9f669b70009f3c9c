/*
 * struct rseq as Linux has had it since 6.3: <linux/rseq.h> of 6.1 ends before node_id, in the same 32 bytes.
 */
#pragma once

#include <linux/rseq.h>

#include "lib/types.h"

struct rseq_area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs; /* address of the critical section the thread is in, or 0 */
	uint32_t flags;
	uint32_t node_id, mm_cid;
	char end[]; /* of what the kernel knows */
};
_Static_assert(offsetof(struct rseq_area, rseq_cs) == offsetof(struct rseq, rseq_cs), "Linux's");
_Static_assert(offsetof(struct rseq_area, flags) == offsetof(struct rseq, flags), "Linux's");
_Static_assert(offsetof(struct rseq_area, node_id) == 20 && offsetof(struct rseq_area, mm_cid) == 24, "Linux 6.3's");

#define RSEQ_FEATURE_BYTES offsetof(struct rseq_area, end)
#define RSEQ_ORIGINAL_BYTES sizeof(struct rseq) /* the length 6.1 knows, and every C library registers at least */
#define RSEQ_ALIGN 32

/* Also later than 6.1's headers. */
#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif
