/*
 * The cursor, over kernel memory; programs' memory is covered by the user tests.
 */
#include <asm/errno.h>

#include "core/ktest.h"
#include "lib/string.h"
#include "mm/uio.h"
#include "mm/usercopy.h"

KTEST(mm, uio_kernel_buffer)
{
	char buf[32];
	struct uio u;
	memset(buf, '.', sizeof buf);
	uio_init_kernel(&u, buf, sizeof buf);
	KTEST_EQ(uio_put(&u, "hello", 5), 0);
	uio_skip(&u, 2);
	KTEST_EQ(uio_put_zero(&u, 3), 0);
	KTEST_EQ(uio_put(&u, "", 0), 0);
	KTEST_EQ(u.left, 22);
	KTEST_EQ(memcmp(buf, "hello..\0\0\0.", 11), 0);

	char back[7];
	uio_init_kernel(&u, buf, 7);
	KTEST_EQ(uio_get(&u, back, 3), 0);
	KTEST_EQ(uio_get(&u, back + 3, 4), 0);
	KTEST_EQ(memcmp(back, "hello..", 7), 0);
	KTEST_EQ(u.left, 0);
}

KTEST(mm, uio_crosses_segments)
{
	char a[3], b[1], c[8];
	struct uio_segment segs[] = {{0, 0}, {(uintptr_t)a, 3}, {0, 0}, {0, 0}, {(uintptr_t)b, 1},
				     {0, 0}, {(uintptr_t)c, 8}};
	struct uio u;
	uio_init_segments(&u, segs, ARRAY_SIZE(segs));
	u.kernel = true;
	KTEST_EQ(u.left, 12);
	KTEST_EQ(uio_put(&u, "01234567", 8), 0);
	KTEST_TRUE(memcmp(a, "012", 3) == 0 && b[0] == '3' && memcmp(c, "4567", 4) == 0);
	KTEST_EQ(u.left, 4);
	KTEST_EQ(uio_put_zero(&u, 4), 0);
	KTEST_EQ(u.left, 0);
	KTEST_EQ(uio_put(&u, NULL, 0), 0);
}

KTEST(mm, uio_rejects_kernel_addresses)
{
	struct uio u;
	struct uio_segment segs[4];
	KTEST_EQ(uio_init_user(&u, uptr(0xffff888000000000), 1), -EFAULT);
	KTEST_EQ(uio_init_user(&u, uptr(0x7ffffffff000), 1), -EFAULT);
	KTEST_EQ(uio_init_user(&u, uptr(0x7fffffffe000), 0x1001), -EFAULT);
	KTEST_EQ(uio_init_user(&u, uptr(0x1000), UINT64_MAX), -EFAULT);
	KTEST_EQ(uio_init_user(&u, uptr(0x1000), 1ull << 40), 0);
	KTEST_EQ(u.left, 0x7ffff000);
	KTEST_EQ(uio_import(uptr(0x1000), 5, segs, 4), -EINVAL);
	KTEST_EQ(uio_import(uptr(0xffff888000000000), 1, segs, 4), -EFAULT);
}

/* What the kernel can reach and a program cannot: by none of the copy functions, and not by the last byte either. */
KTEST(mm, usercopy_stays_in_the_programs_half)
{
	static uint64_t kernels = 1;
	const uptr_t wrong[] = {uptr((uint64_t)&kernels), uptr(USER_VA_END), uptr(USER_VA_END - 1), uptr(UINT64_MAX)};
	uint64_t word = 2;
	uint32_t half = 3;
	char text[8] = "";

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		KTEST_EQ(copy_from_user(&word, wrong[i], 8), -EFAULT);
		KTEST_EQ(copy_to_user(wrong[i], &word, 8), -EFAULT);
		KTEST_EQ(clear_user(wrong[i], 8), -EFAULT);
		KTEST_EQ(get_user_u32(&half, wrong[i]), -EFAULT);
		KTEST_EQ(put_user_u32(wrong[i], half), -EFAULT);
		KTEST_EQ(get_user_u64(&word, wrong[i]), -EFAULT);
		KTEST_EQ(put_user_u64(wrong[i], word), -EFAULT);
		KTEST_EQ(strncpy_from_user(text, wrong[i], sizeof(text)), -EFAULT);
	}
	if (!CONFIG_KASAN) /* it asks first whether word has room for so much */
		KTEST_EQ(copy_from_user(&word, uptr(0x1000), SIZE_MAX), -EFAULT);
	KTEST_EQ(kernels, 1);
	KTEST_TRUE(word == 2 && half == 3 && !text[0]);
}
