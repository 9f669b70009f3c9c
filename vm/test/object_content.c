/*
 * Object content against an array of bytes: reads, writes, truncations and holes in random order.
 */
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/uio.h"
#include "vm/object.h"

#define MAX_BYTES (24 * PAGE_SIZE)

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 16) % n);
}

static int64_t write_at(struct vm_object *o, uint64_t pos, void *buf, size_t len)
{
	struct uio u;

	uio_init_kernel(&u, buf, len);
	return vm_object_write(o, pos, &u);
}

static int64_t read_at(struct vm_object *o, uint64_t pos, void *buf, size_t len)
{
	struct uio u;

	uio_init_kernel(&u, buf, len);
	return vm_object_read(o, pos, &u);
}

struct model {
	uint8_t *want, *buf;
	size_t size;
};

static void random_step(struct vm_object *o, struct model *m)
{
	unsigned pos = random_below(MAX_BYTES), len = 1 + random_below(MIN(3u * PAGE_SIZE, (unsigned)MAX_BYTES - pos));

	switch (random_below(4)) {
	case 0:
	case 1:
		for (unsigned i = 0; i < len; i++)
			m->buf[i] = (uint8_t)(1 + random_below(255));
		KTEST_EQ(write_at(o, pos, m->buf, len), len);
		memcpy(m->want + pos, m->buf, len);
		m->size = MAX(m->size, (size_t)(pos + len));
		break;
	case 2:
		vm_object_truncate(o, pos);
		if (pos < m->size)
			memset(m->want + pos, 0, m->size - pos);
		m->size = pos;
		break;
	case 3:
		pos /= PAGE_SIZE;
		len = 1 + random_below(4);
		vm_object_drop(o, pos, pos + len);
		memset(m->want + pos * PAGE_SIZE, 0, MIN((size_t)len * PAGE_SIZE, (size_t)MAX_BYTES - pos * PAGE_SIZE));
		break;
	}
	KTEST_EQ(o->size_bytes, m->size);
	memset(m->buf, 0xee, MAX_BYTES);
	KTEST_EQ(read_at(o, 0, m->buf, MAX_BYTES), m->size);
	KTEST_EQ(memcmp(m->buf, m->want, m->size), 0);
}

KTEST(vm, object_content_random)
{
	struct model m = {.want = kzalloc(MAX_BYTES), .buf = kmalloc(MAX_BYTES)};
	uint64_t shmem = vm_object_pages_shmem;
	struct vm_object *o;

	random_state = 0x7654321;
	KTEST_TRUE(m.want && m.buf);
	KTEST_EQ(vm_object_create(0, &o), 0);
	for (unsigned i = 0; i < 400; i++) {
		random_step(o, &m);
		KTEST_EQ(vm_object_pages_shmem, shmem + o->page_count);
		KTEST_EQ(o->pages.count, o->page_count);
	}
	vm_object_put(o);
	KTEST_EQ(vm_object_pages_shmem, shmem);
	kfree(m.want);
	kfree(m.buf);
}

KTEST(vm, object_holes)
{
	struct vm_object *o;
	uint64_t at = 0;
	char c = 'x';

	KTEST_EQ(vm_object_create(0, &o), 0);
	KTEST_TRUE(!vm_object_next_data(o, &at));
	KTEST_EQ(vm_object_next_hole(o, 0), 0);
	KTEST_EQ(write_at(o, 5 * PAGE_SIZE, &c, 1), 1);
	KTEST_EQ(write_at(o, 6 * PAGE_SIZE, &c, 1), 1);
	KTEST_EQ(write_at(o, 900 * PAGE_SIZE + 7, &c, 1), 1);
	KTEST_EQ(o->page_count, 3);
	KTEST_TRUE(vm_object_next_data(o, &at));
	KTEST_EQ(at, 5);
	KTEST_EQ(vm_object_next_hole(o, 5), 7);
	at = 7;
	KTEST_TRUE(vm_object_next_data(o, &at));
	KTEST_EQ(at, 900);
	KTEST_EQ(vm_object_next_hole(o, 900), 901);
	at = 901;
	KTEST_TRUE(!vm_object_next_data(o, &at));
	KTEST_EQ(at, 901);
	vm_object_put(o);
}

/* ---- an object with a backing ---- */

static unsigned fills, writes, releases;
static int fill_error;

static int test_fill(struct vm_object *o, uint64_t index, struct page *p)
{
	(void)o;
	fills++;
	if (fill_error)
		return fill_error;
	memset(page_to_ptr(p), (int)('a' + index), PAGE_SIZE);
	return 0;
}

static int test_write(struct vm_object *o, uint64_t index, struct page *p)
{
	(void)o;
	(void)index;
	(void)p;
	writes++;
	return 0;
}

static void test_release(struct vm_object *o)
{
	(void)o;
	releases++;
}

static const struct pager_ops test_ops = {.fill = test_fill, .write = test_write, .release = test_release};

KTEST(vm, object_fill_and_write_back)
{
	static char buf[2 * PAGE_SIZE];
	struct vm_object o;

	fills = writes = releases = 0;
	vm_object_init(&o, &test_ops, 3 * PAGE_SIZE);
	KTEST_EQ(read_at(&o, 1, buf, PAGE_SIZE), PAGE_SIZE);
	KTEST_EQ(fills, 2);
	KTEST_EQ(buf[0], 'a');
	KTEST_EQ(buf[PAGE_SIZE - 1], 'b');
	KTEST_EQ(read_at(&o, 0, buf, PAGE_SIZE), PAGE_SIZE);
	KTEST_EQ(fills, 2);
	/* A whole page needs no fill, a part does. */
	memset(buf, 'W', sizeof(buf));
	KTEST_EQ(write_at(&o, 2 * PAGE_SIZE, buf, PAGE_SIZE), PAGE_SIZE);
	KTEST_EQ(fills, 2);
	KTEST_EQ(write_at(&o, 5, buf, 1), 1);
	KTEST_EQ(vm_object_sync(&o, 0, UINT64_MAX), 0);
	KTEST_EQ(writes, 2);
	KTEST_EQ(vm_object_sync(&o, 0, UINT64_MAX), 0);
	KTEST_EQ(writes, 2);
	/* An error is reported, nothing of it stays. */
	vm_object_truncate(&o, 0);
	vm_object_truncate(&o, PAGE_SIZE);
	fill_error = -5;
	KTEST_EQ(read_at(&o, 0, buf, 1), -5);
	KTEST_EQ(o.page_count, 0);
	fill_error = 0;
	KTEST_EQ(read_at(&o, 0, buf, 1), 1);
	vm_object_put(&o);
	KTEST_EQ(releases, 1);
}
