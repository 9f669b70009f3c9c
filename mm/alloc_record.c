/*
 * Recording of kmalloc and slab requests in debug builds, for `make bench-alloc-record`.
 *
 * `allocrecord` on the command line reserves room once and fills it from then on, until it is full or somebody reads
 * /proc/ashlar/alloc_trace.  A place in the record is taken by an atomic counter, so recording needs no lock; the order
 * of events on different CPUs is that of the counter.
 */
#include "core/log.h"
#include "mm/page.h"
#include "mm/slab_debug.h"
#include "sync/atomic.h"

#define RECORD_ORDER 9 /* 2 MiB: 131,072 events */
#define RECORDS_MAX (((size_t)PAGE_SIZE << RECORD_ORDER) / sizeof(struct alloc_record))

bool alloc_recording;
static struct alloc_record *records; /* set once */
static uint32_t record_count;

void alloc_record_start(void)
{
	struct page *p = page_alloc(RECORD_ORDER, ALLOC_ZERO);
	if (!p) {
		log_warn("allocrecord: not enough memory in one piece");
		return;
	}
	records = page_to_ptr(p);
	alloc_recording = true;
}

void alloc_record(const void *p, size_t size_bytes)
{
	uint32_t i = __atomic_fetch_add(&record_count, 1, __ATOMIC_RELAXED);
	if (i >= RECORDS_MAX) {
		WRITE_ONCE(alloc_recording, false);
		return;
	}
	records[i] = (struct alloc_record){.addr = (uintptr_t)p, .size = size_bytes};
}

const struct alloc_record *alloc_record_get(size_t *count)
{
	WRITE_ONCE(alloc_recording, false);
	*count = records ? MIN((size_t)READ_ONCE(record_count), RECORDS_MAX) : 0;
	return records;
}
