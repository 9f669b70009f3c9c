/* lib/list.h: each operation, and random operations against an array. */
#include "lib/test/test.h"

#include "lib/list.h"

struct item {
	int value;
	struct list_node link;
} aligned_to(64); /* stricter than the list head: a bogus container_of of the head would be caught by UBSan */

static const int none[1];

static void check(struct list *list, const int *values, size_t count)
{
	struct item *item;
	size_t i = 0;

	LIST_FOR_EACH(item, list, link) {
		assert_true(i < count);
		assert_int_equal(item->value, values[i++]);
	}
	assert_int_equal(i, count);
	LIST_FOR_EACH_REVERSE(item, list, link)
		assert_int_equal(item->value, values[--i]);
	assert_int_equal(i, 0);
	assert_int_equal(list_empty(list), count == 0);
	if (!count) {
		assert_null(LIST_FIRST(list, struct item, link));
		assert_null(LIST_LAST(list, struct item, link));
		return;
	}
	assert_int_equal(LIST_FIRST(list, struct item, link)->value, values[0]);
	assert_int_equal(LIST_LAST(list, struct item, link)->value, values[count - 1]);
}

static void test_basics(void **state maybe_unused)
{
	struct list list = LIST_INIT(list), other;
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3}, d = {.value = 4};

	list_init(&other);
	check(&list, none, 0);
	assert_null(list_pop_front(&list));
	assert_null(list_pop_back(&list));
	assert_null(list_first(&list));
	assert_null(list_last(&list));
	assert_false(list_node_linked(&a.link));
	list_push_back(&list, &b.link);
	list_push_front(&list, &a.link);
	list_push_back(&list, &d.link);
	list_insert_before(&d.link, &c.link);
	check(&list, (int[]){1, 2, 3, 4}, 4);
	assert_true(list_node_linked(&c.link));
	assert_ptr_equal(list_next(&list, &a.link), &b.link);
	assert_null(list_next(&list, &d.link));
	assert_null(list_prev(&list, &a.link));
	assert_ptr_equal(list_prev(&list, &b.link), &a.link);
	list_remove(&b.link);
	assert_false(list_node_linked(&b.link));
	list_remove(&b.link);
	check(&list, (int[]){1, 3, 4}, 3);
	list_insert_after(&a.link, &b.link);
	assert_ptr_equal(list_pop_front(&list), &a.link);
	assert_ptr_equal(list_pop_back(&list), &d.link);
	check(&list, (int[]){2, 3}, 2);

	list_push_back(&other, &a.link);
	list_splice_back(&other, &list);
	check(&list, none, 0);
	check(&other, (int[]){1, 2, 3}, 3);
	list_splice_back(&other, &list);
	check(&other, (int[]){1, 2, 3}, 3);
	list_splice_back(&list, &other);
	check(&list, (int[]){1, 2, 3}, 3);
	check(&other, none, 0);
}

static void test_safe_removal(void **state maybe_unused)
{
	struct list list = LIST_INIT(list);
	struct item *item;

	for (int i = 0; i < 10; i++) {
		item = aligned_alloc(64, sizeof(*item));
		item->value = i;
		list_push_back(&list, &item->link);
	}
	LIST_FOR_EACH_SAFE(item, &list, link) {
		if (item->value % 2) {
			list_remove(&item->link);
			free(item);
		}
	}
	check(&list, (int[]){0, 2, 4, 6, 8}, 5);
	LIST_FOR_EACH_SAFE(item, &list, link) {
		list_remove(&item->link);
		free(item);
	}
	check(&list, none, 0);
}

static void test_against_array(void **state maybe_unused)
{
	enum { ITEMS = 16 };
	struct item items[ITEMS];
	struct list list = LIST_INIT(list);
	int model[ITEMS];
	size_t count = 0;

	test_random_seed(1);
	for (int i = 0; i < ITEMS; i++) {
		items[i].value = i;
		list_node_init(&items[i].link);
	}
	for (int round = 0; round < 20000; round++) {
		struct item *item = &items[test_random_below(ITEMS)];
		size_t at = 0;

		if (list_node_linked(&item->link)) {
			while (model[at] != item->value)
				at++;
			memmove(&model[at], &model[at + 1], (--count - at) * sizeof(model[0]));
			list_remove(&item->link);
		} else {
			at = test_random_below(count + 1);
			memmove(&model[at + 1], &model[at], (count++ - at) * sizeof(model[0]));
			model[at] = item->value;
			if (at == 0)
				list_push_front(&list, &item->link);
			else if (test_random_below(2))
				list_insert_after(&items[model[at - 1]].link, &item->link);
			else if (at + 1 == count)
				list_push_back(&list, &item->link);
			else
				list_insert_before(&items[model[at + 1]].link, &item->link);
		}
		check(&list, model, count);
	}
}

int list_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),
		cmocka_unit_test(test_safe_removal),
		cmocka_unit_test(test_against_array),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
