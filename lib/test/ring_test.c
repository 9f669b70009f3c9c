/* lib/ring.h against a plain queue, across the wrap of its counters, and with a producer and a consumer thread. */
#include "lib/test/test.h"

#include <pthread.h>
#include <sched.h>

#include "lib/ring.h"

static void test_against_queue(void **state maybe_unused)
{
	test_random_seed(7);
	for (uint32_t size = 1; size <= 64; size *= 2) {
		uint8_t *storage = malloc(size), queue[64], data[80], got[80];
		struct ring ring;
		uint32_t waiting = 0;
		uint8_t next = 0;

		ring_init(&ring, storage, size);
		ring.head = ring.tail = 0u - 500; /* wraps early */
		for (int round = 0; round < 5000; round++) {
			size_t len = test_random_below(sizeof(data)), moved;
			uint32_t skip = (uint32_t)test_random_below(size + 2);

			switch (test_random_below(6)) {
			case 0:
				for (size_t i = 0; i < len; i++)
					data[i] = (uint8_t)(next + i);
				moved = ring_put(&ring, data, len);
				assert_int_equal(moved, MIN(len, size - waiting));
				memcpy(queue + waiting, data, moved);
				waiting += moved;
				next += moved;
				break;
			case 1:
				assert_int_equal(ring_put_byte(&ring, next), waiting < size);
				if (waiting < size)
					queue[waiting++] = next++;
				break;
			case 2:
				moved = ring_get(&ring, got, len);
				assert_int_equal(moved, MIN(len, waiting));
				assert_memory_equal(got, queue, moved);
				memmove(queue, queue + moved, waiting -= moved);
				break;
			case 3:
				assert_int_equal(ring_get_byte(&ring), waiting ? queue[0] : -1);
				if (waiting)
					memmove(queue, queue + 1, --waiting);
				break;
			case 4:
				moved = ring_peek(&ring, skip, got, len);
				assert_int_equal(moved, skip >= waiting ? 0 : MIN(len, waiting - skip));
				if (moved)
					assert_memory_equal(got, queue + skip, moved);
				break;
			default:
				len %= 4;
				moved = ring_drop(&ring, len);
				assert_int_equal(moved, MIN(len, waiting));
				memmove(queue, queue + moved, waiting -= moved);
			}
			assert_int_equal(ring_len(&ring), waiting);
			assert_int_equal(ring_space(&ring), size - waiting);
			assert_int_equal(ring_empty(&ring), waiting == 0);
		}
		free(storage);
	}
}

enum { STREAM_BYTES = 1000000 };

static void *produce(void *arg)
{
	struct ring *ring = arg;
	uint8_t piece[37];

	for (uint32_t sent = 0; sent < STREAM_BYTES;) {
		size_t len = MIN(sizeof(piece), (size_t)(STREAM_BYTES - sent));

		for (size_t i = 0; i < len; i++)
			piece[i] = (uint8_t)((sent + i) * 7);
		len = ring_put(ring, piece, len);
		sent += (uint32_t)len;
		if (!len)
			sched_yield();
	}
	return NULL;
}

static void test_two_threads(void **state maybe_unused)
{
	uint8_t storage[256], piece[50];
	struct ring ring;
	pthread_t producer;
	uint32_t received = 0, wrong = 0;

	ring_init(&ring, storage, sizeof(storage));
	assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
	while (received < STREAM_BYTES) {
		size_t len = ring_get(&ring, piece, sizeof(piece));

		for (size_t i = 0; i < len; i++)
			wrong += piece[i] != (uint8_t)((received + i) * 7);
		received += (uint32_t)len;
		if (!len)
			sched_yield();
	}
	pthread_join(producer, NULL);
	assert_int_equal(wrong, 0);
	assert_true(ring_empty(&ring));
}

int ring_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_queue),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
