/*
 * The argument and environment strings of execve: one copy from the program's memory into kernel pages, packed as
 * they will lie on the new stack, and one from there to the stack. Limits as on Linux (man 2 execve, "Limits on size
 * of arguments and environment"): a quarter of the stack limit, never below 128 KiB nor above 6 MiB, pointers
 * included; 128 KiB a string.
 */
#include <asm/errno.h>
#include <linux/resource.h>

#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "proc/exec_internal.h"

static uint64_t args_limit(void)
{
	return MAX(MIN(process_limit(RLIMIT_STACK) / 4, 6 * MIB), 128 * KIB);
}

/* Doubles an array. */
static int grow(void **array, uint32_t *capacity, uint32_t first, size_t item_bytes)
{
	uint32_t n = *capacity ? *capacity * 2 : first;
	void *bigger = kmalloc(n * item_bytes);
	if (!bigger)
		return -ENOMEM;
	if (*capacity)
		memcpy(bigger, *array, *capacity * item_bytes);
	kfree(*array);
	*array = bigger;
	*capacity = n;
	return 0;
}

/* Where the next byte goes, and how many fit behind it. */
static int room_here(struct exec_args *a, char **at, size_t *room)
{
	uint32_t index = (uint32_t)(a->used >> PAGE_SHIFT);

	if (index == a->page_count) {
		if (a->page_count == a->page_capacity) {
			int err = grow((void **)&a->pages, &a->page_capacity, 8, sizeof(*a->pages));
			if (err)
				return err;
		}
		struct page *p = page_alloc(0, ALLOC_USER);
		if (!p)
			return -ENOMEM;
		a->pages[a->page_count++] = page_to_ptr(p);
	}
	*at = a->pages[index] + (a->used & PAGE_MASK);
	*room = PAGE_SIZE - (a->used & PAGE_MASK);
	return 0;
}

static int begin_string(struct exec_args *a)
{
	if (a->count == a->capacity) {
		int err = grow((void **)&a->offsets, &a->capacity, 64, sizeof(*a->offsets));
		if (err)
			return err;
	}
	a->offsets[a->count++] = (uint32_t)a->used;
	return 0;
}

static int over_limit(const struct exec_args *a, uint64_t string_start)
{
	if (a->used - string_start > EXEC_STRING_MAX || a->used + a->count * sizeof(uint64_t) > a->limit)
		return -E2BIG;
	return 0;
}

int exec_args_add_kernel(struct exec_args *a, const char *s)
{
	uint64_t start = a->used;
	size_t len = strlen(s) + 1, room;
	char *at;
	int err = begin_string(a);

	while (!err && len) {
		err = room_here(a, &at, &room);
		if (err)
			return err;
		size_t n = MIN(len, room);
		memcpy(at, s, n);
		s += n;
		len -= n;
		a->used += n;
		err = over_limit(a, start);
	}
	return err;
}

static int add_user(struct exec_args *a, uptr_t s)
{
	uint64_t start = a->used;
	size_t room;
	char *at;
	int err = begin_string(a);

	while (!err) {
		err = room_here(a, &at, &room);
		if (err)
			return err;
		int64_t n = strncpy_from_user(at, s, room);
		if (n >= 0) {
			a->used += (uint64_t)n + 1;
			return over_limit(a, start);
		}
		if (n != -ENAMETOOLONG)
			return (int)n;
		s = uptr_add(s, room);
		a->used += room;
		err = over_limit(a, start);
	}
	return err;
}

/* Adds the vector's strings from the skip-th on; *count is how many. */
static int add_vector(struct exec_args *a, const struct exec_strings *v, unsigned skip, uint32_t *count)
{
	int err;

	for (uint32_t i = 0;; i++) {
		uint64_t p;
		if (v->kernel) {
			if (!v->kernel[i])
				return 0;
			if (i < skip)
				continue;
			err = exec_args_add_kernel(a, v->kernel[i]);
		} else {
			if (uptr_null(v->user))
				return 0;
			err = get_user_u64(&p, uptr_add(v->user, (uint64_t)i * sizeof(p)));
			if (err)
				return err;
			if (!p)
				return 0;
			if (i < skip)
				continue;
			err = add_user(a, uptr(p));
		}
		if (err)
			return err;
		(*count)++;
	}
}

int exec_args_collect(struct exec *e, const struct exec_strings *argv, const struct exec_strings *envp)
{
	struct exec_args *a = &e->args;
	int err = 0;

	a->limit = args_limit();
	for (unsigned i = e->prefix_start; !err && i < EXEC_PREFIX_MAX; i++) {
		err = exec_args_add_kernel(a, e->prefix[i]);
		a->argc++;
	}
	if (!err)
		err = add_vector(a, argv, e->is_script ? 1 : 0, &a->argc);
	/* Programs index argv[0] without looking: an empty vector gets an empty name (as Linux since 5.18). */
	if (!err && a->argc == 0) {
		err = exec_args_add_kernel(a, "");
		a->argc = 1;
	}
	if (err)
		return err;
	a->argv_bytes = a->used;
	err = add_vector(a, envp, 0, &a->envc);
	if (err)
		return err;
	a->envp_bytes = a->used - a->argv_bytes;
	return exec_args_add_kernel(a, e->filename);
}

void exec_args_free(struct exec_args *a)
{
	for (uint32_t i = 0; i < a->page_count; i++)
		page_put(ptr_to_page(a->pages[i]));
	kfree(a->pages);
	kfree(a->offsets);
}
