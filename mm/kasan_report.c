/*
 * What KASAN says: the access, whose memory it hit, who allocated and freed that, and the shadow around it.
 *
 * Everything is derived from the address: its shadow byte says what kind of memory it is, slab and frame table lead to
 * the object, and the compilers leave a description of each frame at its lower end and of each global in a list.  The
 * report ends in a panic unless a test expects it (core/sanitizer.h).
 */
#include <arch/cpu.h>

#include "core/panic.h"
#include "core/sanitizer.h"
#include "core/symbols.h"
#include "mm/kasan_internal.h"
#include "mm/kmap.h"
#include "mm/page.h"

#define FRAME_MAGIC 0x41b58ab3 /* begins the left red zone of a frame; then description and function */
#define FRAME_SEARCH 8192

static const char *kind_of(uint64_t addr)
{
	uint8_t s = *kasan_shadow_of(addr);

	/* Only the beginning of a granule may be used: the next one says behind what we are. */
	if (s && s < 0x80 && kasan_tracked(addr + GRANULE))
		s = *kasan_shadow_of(addr + GRANULE);
	switch (s) {
	case SHADOW_STACK_LEFT:
	case SHADOW_STACK_MIDDLE:
	case SHADOW_STACK_RIGHT:
		return "stack out of bounds";
	case SHADOW_STACK_RETURN:
		return "stack use after return";
	case SHADOW_STACK_SCOPE:
		return "stack use after scope";
	case SHADOW_GLOBAL:
		return "global out of bounds";
	case SHADOW_OBJECT_FREE:
		return "use after free";
	case SHADOW_OBJECT_END:
		return "heap out of bounds";
	case SHADOW_PAGES_END:
		return "pages out of bounds";
	case SHADOW_PAGE_FREE:
		return "use of a free page";
	default:
		return "out of bounds";
	}
}

static void print_track(const char *what, const struct kasan_track *t)
{
	if (!t->ip[0])
		return;
	san_report_line("%s:", what);
	for (unsigned i = 0; i < TRACK_DEPTH && t->ip[i]; i++)
		san_report_address(0xffffffff00000000ull | t->ip[i]);
}

static void print_object(uint64_t addr, const struct page *p)
{
	const struct slab_cache *c = p->owner;
	uint64_t base = (uint64_t)page_to_ptr(p) & ~(((uint64_t)PAGE_SIZE << c->order) - 1);
	uint64_t index = (addr - base) / c->stride;

	if (index >= c->per_slab)
		index = c->per_slab - 1u;
	uint64_t obj = base + index * c->stride, used = c->size;
	const struct kasan_meta *meta = kasan_meta_of(c, (void *)obj);

	/* What was asked for of it, from the shadow. */
	if (*kasan_shadow_of(obj) < 0x80)
		for (used = 0; used < c->size && !*kasan_shadow_of(obj + used);)
			used += GRANULE;
	if (used < c->size && *kasan_shadow_of(obj + used) < 0x80)
		used += *kasan_shadow_of(obj + used);
	if (addr - obj < used)
		san_report_line("byte %llu of the object of %llu bytes at %#llx, cache %s",
				(unsigned long long)(addr - obj), (unsigned long long)used, (unsigned long long)obj,
				c->name);
	else
		san_report_line("%llu bytes behind the object of %llu bytes at %#llx, cache %s",
				(unsigned long long)(addr - obj - used), (unsigned long long)used,
				(unsigned long long)obj, c->name);
	print_track("allocated by", &meta->alloc);
	print_track("freed by", &meta->free);
}

static void print_page(uint64_t addr)
{
	static const char *const states[] = {"reserved", "free", "cached", "owned", "slab"};
	const struct page *p = ptr_to_page((void *)addr);
	const struct kasan_frame *f = kasan_frame_of(addr);

	san_report_line("page at %#llx: state %s", (unsigned long long)(addr & ~PAGE_MASK),
			p->state < ARRAY_SIZE(states) ? states[p->state] : "?");
	if (!f)
		return;
	print_track("last allocated by", &f->alloc);
	print_track("last freed by", &f->free);
}

static void print_frame(uint64_t addr)
{
	uint64_t at = ALIGN_DOWN(addr, GRANULE), floor = at - FRAME_SEARCH;

	while (at > floor && kasan_tracked(at) && *kasan_shadow_of(at) != SHADOW_STACK_LEFT)
		at -= GRANULE;
	while (at > floor && kasan_tracked(at - GRANULE) && *kasan_shadow_of(at - GRANULE) == SHADOW_STACK_LEFT)
		at -= GRANULE;
	if (at <= floor || !kasan_tracked(at))
		return;
	const uint64_t *words = (const uint64_t *)at;
	uintptr_t offset;
	if (words[0] != FRAME_MAGIC)
		return;
	const char *name = symbol_lookup(words[2], &offset);
	san_report_line("byte %llu of the frame of %s", (unsigned long long)(addr - at), name ? name : "?");
	/* "count, then for each: offset, size, length of the name, name", all separated by blanks */
	san_report_line("its variables (offset size length:name): %s", (const char *)words[1]);
}

static void print_global(uint64_t addr)
{
	const struct kasan_global *g = kasan_global_near(addr);

	if (g)
		san_report_line("%llu bytes behind the start of %s, %llu bytes, of %s",
				(unsigned long long)(addr - g->start), g->name, (unsigned long long)g->size, g->file);
}

static void print_owner(uint64_t addr)
{
	if (!kasan_tracked(addr))
		return;
	if (addr - DIRECT_MAP_BASE < DIRECT_MAP_SIZE) {
		if (!paddr_is_ram(ptr_to_paddr((void *)addr)))
			return;
		const struct page *p = ptr_to_page((void *)addr);
		if (p->state == PAGE_SLAB)
			print_object(addr, p);
		else
			print_page(addr);
		return;
	}
	print_global(addr);
	print_frame(addr);
}

static void print_shadow(uint64_t addr)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t line = ALIGN_DOWN(addr, 16 * GRANULE) - 2 * 16 * GRANULE;

	if (!kasan_tracked(addr))
		return;
	san_report_line(
		"shadow (f1-f3, f8 frame, f9 global, fb freed, fc behind object, fe behind pages, ff free page):");
	for (unsigned i = 0; i < 5; i++, line += 16 * GRANULE) {
		char text[16 * 3 + 1];
		if (!kasan_tracked(line) || !kasan_tracked(line + 16 * GRANULE - 1))
			continue;
		for (unsigned k = 0; k < 16; k++) {
			uint64_t at = line + k * GRANULE;
			uint8_t s = *kasan_shadow_of(at);
			text[3 * k] = at == ALIGN_DOWN(addr, GRANULE) ? '>' : ' ';
			text[3 * k + 1] = hex[s >> 4];
			text[3 * k + 2] = hex[s & 15];
		}
		text[sizeof(text) - 1] = '\0';
		san_report_line("  %016llx:%s", (unsigned long long)line, text);
	}
}

void kasan_report(const char *kind, uint64_t access, uint64_t addr, size_t len, bool write, uint64_t ip)
{
	uintptr_t offset = 0;
	const char *name = symbol_lookup(ip - 1, &offset);
	bool begun;

	if (panic_in_progress)
		return;
	if (len)
		begun = san_report_begin("KASAN: %s: %s of %llu bytes at %#llx by %s+0x%llx",
					 kind ? kind : kind_of(addr), write ? "store" : "load", (unsigned long long)len,
					 (unsigned long long)access, name ? name : "?", (unsigned long long)offset + 1);
	else
		begun = san_report_begin("KASAN: %s of %#llx", kind, (unsigned long long)access);
	if (!begun)
		return;
	san_report_caller(1);
	print_owner(addr);
	print_shadow(addr);
	if (!san_report_end())
		panic("%s", san_headline);
}
