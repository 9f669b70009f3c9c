/* Descriptor tables, without files: numbers and growth through a table that is nobody's. */
#include <asm/errno.h>

#include "core/ktest.h"
#include "proc/fdtable.h"

KTEST(proc, fdtable_empty)
{
	struct fdtable *t, *copy;

	KTEST_EQ(fdtable_create(&t), 0);
	KTEST_EQ(fdtable_next(t, 0), -1);
	KTEST_TRUE(fdtable_file(t, 0) == NULL);
	KTEST_TRUE(fdtable_file(t, -1) == NULL);
	KTEST_TRUE(fdtable_file(t, 1 << 30) == NULL);
	KTEST_EQ(fdtable_copy(t, &copy), 0);
	KTEST_EQ(fdtable_next(copy, 0), -1);
	fdtable_put(copy);
	fdtable_put(t);
}

KTEST(proc, fdtable_numbers_lowest_first)
{
	struct fdtable *t;

	KTEST_EQ(fdtable_create(&t), 0);
	for (uint32_t i = 0; i < 64; i++)
		KTEST_EQ(fdtable_reserve_locked(t, 0, i & 1), i);
	KTEST_EQ(fdtable_reserve_locked(t, 0, false), 64); /* full: the capacity */
	KTEST_TRUE(fdtable_cloexec(t, 5) && !fdtable_cloexec(t, 6));
	KTEST_TRUE(fdtable_take_out_locked(t, 17) == NULL);
	KTEST_TRUE(fdtable_take_out_locked(t, 40) == NULL);
	KTEST_EQ(fdtable_reserve_locked(t, 20, false), 40);
	KTEST_EQ(fdtable_reserve_locked(t, 0, false), 17);
	KTEST_TRUE(!fdtable_cloexec(t, 17));
	KTEST_EQ(fdtable_grow(t, 1000), 0);
	KTEST_EQ(t->capacity, 1024);
	KTEST_TRUE(fdtable_cloexec(t, 5) && !fdtable_cloexec(t, 6));
	KTEST_EQ(fdtable_reserve_locked(t, 0, false), 64);
	KTEST_EQ(fdtable_reserve_locked(t, 900, false), 900);
	KTEST_EQ(fdtable_grow(t, FDTABLE_MAX), -EMFILE);
	fdtable_put(t);
}

/* What another thread has only reserved is not in the copy. */
KTEST(proc, fdtable_copy_leaves_reservations)
{
	struct fdtable *t, *copy;

	KTEST_EQ(fdtable_create(&t), 0);
	KTEST_EQ(fdtable_reserve_locked(t, 3, true), 3);
	KTEST_EQ(fdtable_copy(t, &copy), 0);
	KTEST_EQ(fdtable_reserve_locked(copy, 3, false), 3);
	fdtable_put(copy);
	fdtable_put(t);
}
