/*
 * The heap: one list of free blocks in address order, first fit, neighbours merged on free.
 *
 * Each block starts with its size; a free one also links to the next free one.  Memory comes from the kernel in steps
 * of at least 64 KiB by brk(2); what lies at its end is a free block like any other, so the heap grows without a
 * special case.  Searching is linear in the number of free blocks: right for the examples of a book, wrong for a server
 * (see mm/slab.c for the other end). Not for several threads at once.
 */
#include "user/rt/rt.h"

#define STEP (64 * KIB)

struct block {
	size_t size;	    /* of the whole block, a multiple of 16 */
	struct block *next; /* free blocks only: the next in address order */
};

#define HEAD 16 /* where the caller's bytes begin: keeps them 16-aligned */

static struct block *free_list;
static char *heap_end;

static char *block_end(struct block *b)
{
	return (char *)b + b->size;
}

/* Puts b where it belongs and merges it with the neighbours it touches. */
static void insert(struct block *b)
{
	struct block **at = &free_list, *before = NULL;

	while (*at && *at < b) {
		before = *at;
		at = &before->next;
	}
	b->next = *at;
	*at = b;
	if (b->next && block_end(b) == (char *)b->next) {
		b->size += b->next->size;
		b->next = b->next->next;
	}
	if (before && block_end(before) == (char *)b) {
		before->size += b->size;
		before->next = b->next;
	}
}

static bool grow(size_t size)
{
	size = ALIGN_UP(size, STEP);
	if (!heap_end)
		heap_end = (char *)ALIGN_UP(sys(__NR_brk, 0, 0, 0, 0, 0, 0), 16);
	char *want = heap_end + size;
	if (sys(__NR_brk, (long)want, 0, 0, 0, 0, 0) != (long)want)
		return false;
	struct block *b = (struct block *)heap_end;
	heap_end = want;
	b->size = size;
	insert(b);
	return true;
}

void *malloc(size_t len)
{
	size_t size;

	if (__builtin_add_overflow(len, HEAD + 15, &size))
		return NULL;
	size &= ~(size_t)15;
	do {
		for (struct block **at = &free_list; *at; at = &(*at)->next) {
			struct block *b = *at;
			if (b->size < size)
				continue;
			if (b->size - size >= 2 * HEAD) {
				struct block *rest = (struct block *)((char *)b + size);
				*rest = (struct block){.size = b->size - size, .next = b->next};
				b->size = size;
				*at = rest;
			} else {
				*at = b->next;
			}
			return (char *)b + HEAD;
		}
	} while (grow(size));
	return NULL;
}

void free(void *p)
{
	if (p)
		insert((struct block *)((char *)p - HEAD));
}

void *realloc(void *p, size_t len)
{
	void *q = malloc(len);

	if (q && p) {
		size_t old = ((struct block *)((char *)p - HEAD))->size - HEAD;
		memcpy(q, p, MIN(old, len));
		free(p);
	}
	return q;
}
