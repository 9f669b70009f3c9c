/* The clock chip's fields, /dev/kmsg's lines, random bytes, the registry of devices, interrupt handlers. */
#include "abi/errno_kernel.h"
#include "core/ktest.h"
#include "dev/char/kmsg.h"
#include "dev/char/rtc_cmos.h"
#include "dev/chardev.h"
#include "dev/irq.h"
#include "dev/random.h"
#include "lib/string.h"
#include "mm/slab.h"

KTEST(rtc, fields_become_seconds)
{
	struct rtc_fields epoch = {.day = 1, .month = 1, .year = 0x70, .century = 0x19};
	KTEST_EQ(rtc_decode(&epoch, false, true), 0);
	struct rtc_fields leap =
		{.second = 0x59, .minute = 0x58, .hour = 0x23, .day = 0x29, .month = 2, .year = 0x24, .century = 0x20};
	KTEST_EQ(rtc_decode(&leap, false, true), 1709251139);
	struct rtc_fields binary =
		{.second = 59, .minute = 58, .hour = 23, .day = 29, .month = 2, .year = 24, .century = 0};
	KTEST_EQ(rtc_decode(&binary, true, true), 1709251139);
	struct rtc_fields pm = {.hour = 0x92, .day = 1, .month = 3, .year = 0, .century = 0x20}; /* 12 PM */
	KTEST_EQ(rtc_decode(&pm, false, false), 951912000);
	struct rtc_fields am = {.hour = 0x12, .day = 1, .month = 3, .year = 0, .century = 0x20}; /* 12 AM */
	KTEST_EQ(rtc_decode(&am, false, false), 951868800);
	struct rtc_fields bad = {.day = 1, .month = 0x13, .year = 0x24, .century = 0x20};
	KTEST_EQ(rtc_decode(&bad, false, true), -1);
	struct rtc_fields none;
	memset(&none, 0xff, sizeof(none));
	KTEST_EQ(rtc_decode(&none, false, true), -1);
}

KTEST(kmsg, records_are_formatted)
{
	char *line = kmalloc(KMSG_LINE_MAX);
	struct log_record *r = kzalloc(sizeof(*r));
	KTEST_TRUE(line && r);
	r->seq = 7;
	r->time_ns = 1234567;
	r->facility_level = 14;
	r->len = 5;
	memcpy(r->text, "a\\\tb\x80", 5);
	static const char expected[] = "14,7,1234,-;a\\x5c\\x09b\\x80\n";
	KTEST_EQ(kmsg_format(r, line), sizeof(expected) - 1);
	KTEST_EQ(memcmp(line, expected, sizeof(expected) - 1), 0);
	memset(r->text, 1, sizeof(r->text));
	r->len = sizeof(r->text);
	KTEST_TRUE(kmsg_format(r, line) <= KMSG_LINE_MAX);
	kfree(r);
	kfree(line);
}

KTEST(kmsg, prefix_is_parsed)
{
	const char *text = "<30>hello";
	size_t len = 9;
	KTEST_EQ(kmsg_prefix(&text, &len), 30);
	KTEST_EQ(len, 5);
	text = "<3>kernel?";
	len = 10;
	KTEST_EQ(kmsg_prefix(&text, &len), 8 + 3); /* nobody speaks as the kernel */
	text = "<x>plain";
	len = 8;
	KTEST_EQ(kmsg_prefix(&text, &len), 8 + 4);
	KTEST_EQ(len, 8);
	text = "<99";
	len = 3;
	KTEST_EQ(kmsg_prefix(&text, &len), 8 + 4);
	KTEST_EQ(len, 3);
}

KTEST(random, bytes_differ_and_fill_exactly)
{
	uint8_t a[200], b[200];
	for (size_t len = 0; len < 180; len++) {
		memset(a, 0, sizeof(a));
		memset(a + len, 0xee, sizeof(a) - len);
		random_bytes(a, len);
		for (size_t i = len; i < sizeof(a); i++)
			KTEST_EQ(a[i], 0xee);
	}
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	KTEST_TRUE(memcmp(a, b, sizeof(a)) != 0);
	unsigned ones = 0;
	for (size_t i = 0; i < 8 * sizeof(a); i++)
		ones += a[i / 8] >> i % 8 & 1;
	KTEST_TRUE(ones > 600 && ones < 1000); /* of 1600; wrong once in 10^22 times */
	KTEST_TRUE(random_u64() != random_u64());
}

KTEST(chardev, registry)
{
	static const struct chardev_ops ops;
	struct chardev a = {.name = "test-a", .major = 200, .minor = 1, .ops = &ops};
	struct chardev b = {.name = "test-b", .major = 200, .minor = 1, .ops = &ops};
	struct chardev c = {.name = "test-a", .major = 200, .minor = 2, .ops = &ops};
	void (*notify)(struct chardev *, bool) = chardev_notify;
	chardev_notify = NULL; /* no nodes for these */
	KTEST_EQ(chardev_register(&a), 0);
	KTEST_EQ(chardev_register(&b), -EEXIST);
	KTEST_EQ(chardev_register(&c), -EEXIST);
	KTEST_TRUE(chardev_find(200, 1) == &a);
	KTEST_TRUE(chardev_find(200, 2) == NULL);
	chardev_unregister(&a);
	KTEST_TRUE(chardev_find(200, 1) == NULL);
	chardev_notify = notify;
	KTEST_TRUE(chardev_find(1, 3) && str_equal(chardev_find(1, 3)->name, "null"));
	unsigned n = 0;
	while (chardev_at(n))
		n++;
	KTEST_TRUE(n >= 8);
}

static unsigned calls;

static void count_call(void *arg)
{
	calls += *(unsigned *)arg;
}

KTEST(irq, shared_line)
{
	static unsigned one = 1, ten = 10;
	struct irq_action a = {.fn = count_call, .arg = &one, .name = "one"};
	struct irq_action b = {.fn = count_call, .arg = &ten, .name = "ten"};
	unsigned line = 13; /* the coprocessor's, which nobody raises */
	KTEST_EQ(irq_register(IRQS_MAX, &a), -EINVAL);
	KTEST_EQ(irq_register(line, &a), 0);
	KTEST_EQ(irq_register(line, &b), 0);
	calls = 0;
	uint64_t before = irq_count_get(line, 0);
	irqflags_t f = irq_save();
	irq_dispatch(line);
	irq_restore(f);
	KTEST_EQ(calls, 11);
	KTEST_EQ(irq_count_get(line, 0), before + 1);
	irq_unregister(line, &a);
	f = irq_save();
	irq_dispatch(line);
	irq_restore(f);
	KTEST_EQ(calls, 21);
	irq_unregister(line, &b);
	char *text = kmalloc(4096);
	KTEST_TRUE(text);
	size_t len = irq_table_print(text, 4096);
	KTEST_TRUE(len > 20 && len < 4096 && memchr(text, '\n', len));
	KTEST_EQ(irq_table_print(text, 10), len);
	kfree(text);
}
