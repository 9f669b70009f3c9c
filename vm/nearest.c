/* The areas around an address (vm/nearest.h): one walk down the tree of areas, which is sorted by start. */
#include "vm/nearest.h"

#include "lib/printf.h"

static struct area_near copy_of(const struct area *a, uint64_t addr)
{
	bool inside = addr >= a->start && addr < a->end;

	return (struct area_near){
		.start = a->start,
		.end = a->end,
		.flags = a->flags,
		.has_file = a->file != NULL,
		.inside = inside,
		.addr_below = addr < a->start,
		.distance = inside	  ? 0
			: addr < a->start ? a->start - addr
					  : addr - a->end + 1,
	};
}

unsigned aspace_nearest_unlocked(const struct aspace *as, uint64_t addr, struct area_near out[2])
{
	const struct area *below = NULL, *above = NULL;
	unsigned n = 0;

	for (struct rb_node *at = as->areas.node; at;) {
		const struct area *a = RB_ENTRY(at, struct area, node);
		if (a->start <= addr) {
			below = a;
			at = at->right;
		} else {
			above = a;
			at = at->left;
		}
	}
	if (below)
		out[n++] = copy_of(below, addr);
	if (above && !(below && addr < below->end))
		out[n++] = copy_of(above, addr);
	return n;
}

unsigned aspace_nearest(struct aspace *as, uint64_t addr, struct area_near out[2])
{
	rwlock_read_lock(&as->lock);
	unsigned n = aspace_nearest_unlocked(as, addr, out);
	rwlock_read_unlock(&as->lock);
	return n;
}

const char *area_near_text(const struct area_near *a, char *buf, size_t len)
{
	char where[48] = "inside ";

	if (!a->inside)
		snprintf(where, sizeof(where), "%#llx bytes %s ", (unsigned long long)a->distance,
			 a->addr_below ? "below" : "above");
	snprintf(buf, len, "%s%#llx-%#llx %c%c%c%s%s%s", where, (unsigned long long)a->start,
		 (unsigned long long)a->end, a->flags & AREA_READ ? 'r' : '-', a->flags & AREA_WRITE ? 'w' : '-',
		 a->flags & AREA_EXEC ? 'x' : '-', a->flags & AREA_STACK ? " (stack)" : "",
		 a->flags & AREA_HEAP ? " (heap)" : "", a->has_file ? " (file)" : "");
	return buf;
}
