/* lib/rbtree: random insertions and removals, with the red-black rules, order and augmented values checked
 * after each. */
#include "lib/test/test.h"

#include "lib/rbtree.h"

struct item {
	uint64_t key, weight;
	uint64_t heaviest; /* augmented: the largest weight in the subtree */
	bool present;
	struct rb_node rb;
};

static void recompute(struct rb_node *node)
{
	struct item *item = RB_ENTRY(node, struct item, rb);

	item->heaviest = item->weight;
	if (node->left)
		item->heaviest = MAX(item->heaviest, RB_ENTRY(node->left, struct item, rb)->heaviest);
	if (node->right)
		item->heaviest = MAX(item->heaviest, RB_ENTRY(node->right, struct item, rb)->heaviest);
}

static void insert(struct rb_root *root, struct item *item, bool augmented)
{
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item->key < RB_ENTRY(parent, struct item, rb)->key ? &parent->left : &parent->right;
	}
	rb_link(&item->rb, parent, link);
	if (augmented)
		rb_insert_augmented(root, &item->rb, recompute);
	else
		rb_insert_fix(root, &item->rb);
}

/* The black height; fails if a rule is broken below `node`. */
static unsigned int check_subtree(const struct rb_node *node, const struct rb_node *parent, bool augmented)
{
	if (!node)
		return 1;

	bool black = node->parent_colour & 1;
	unsigned int left, right;

	assert_ptr_equal(rb_parent(node), parent);
	if (!black) {
		assert_non_null(parent);
		assert_true(parent->parent_colour & 1);
	}
	left = check_subtree(node->left, node, augmented);
	right = check_subtree(node->right, node, augmented);
	assert_int_equal(left, right);
	if (augmented) {
		struct item copy = *RB_ENTRY(node, struct item, rb);

		recompute(&copy.rb);
		assert_int_equal(copy.heaviest, RB_ENTRY(node, struct item, rb)->heaviest);
	}
	return left + black;
}

static void check_tree(const struct rb_root *root, size_t count, bool augmented)
{
	struct item *item, *last = NULL;
	size_t seen = 0;

	check_subtree(root->node, NULL, augmented);
	RB_FOR_EACH(item, root, rb) {
		assert_true(item->present);
		if (last) {
			assert_true(last->key <= item->key);
			assert_ptr_equal(rb_prev(&item->rb), &last->rb);
		}
		last = item;
		seen++;
	}
	assert_int_equal(seen, count);
	assert_ptr_equal(rb_last(root), last ? &last->rb : NULL);
	assert_int_equal(rb_empty(root), count == 0);
	if (count)
		assert_null(rb_prev(rb_first(root)));
}

static void run_random(bool augmented, size_t items_count, int rounds, uint64_t keys)
{
	struct item *items = calloc(items_count, sizeof(*items));
	struct rb_root root = RB_ROOT_INIT;
	size_t count = 0;

	for (int round = 0; round < rounds; round++) {
		struct item *item = &items[test_random_below(items_count)];

		if (item->present) {
			if (augmented)
				rb_erase_augmented(&root, &item->rb, recompute);
			else
				rb_erase(&root, &item->rb);
			item->present = false;
			count--;
		} else {
			*item = (struct item){.key = test_random_below(keys), .weight = test_random(), .present = true};
			insert(&root, item, augmented);
			count++;
		}
		if (augmented && count) {
			struct item *heavier = RB_ENTRY(root.node, struct item, rb);

			heavier->weight = test_random();
			rb_augment_propagate(&heavier->rb, recompute);
		}
		check_tree(&root, count, augmented);
	}
	free(items);
}

static void test_plain(void **state maybe_unused)
{
	test_random_seed(2);
	for (size_t items = 1; items < 12; items++)
		run_random(false, items, 2000, 1000);
	run_random(false, 300, 5000, 1000000);
	run_random(false, 300, 5000, 10); /* many equal keys */
}

static void test_augmented(void **state maybe_unused)
{
	test_random_seed(3);
	for (size_t items = 1; items < 12; items++)
		run_random(true, items, 2000, 1000);
	run_random(true, 300, 5000, 1000000);
}

static void test_ascending(void **state maybe_unused)
{
	enum { ITEMS = 1000 };
	struct item *items = calloc(ITEMS, sizeof(*items));
	struct rb_root root;

	rb_init(&root);
	for (size_t i = 0; i < ITEMS; i++) {
		items[i] = (struct item){.key = i, .present = true};
		insert(&root, &items[i], false);
	}
	check_tree(&root, ITEMS, false);
	assert_in_range(check_subtree(root.node, NULL, false), 5, 11);
	for (size_t i = 0; i < ITEMS; i++) {
		assert_ptr_equal(rb_first(&root), &items[i].rb);
		rb_erase(&root, &items[i].rb);
		check_subtree(root.node, NULL, false);
	}
	assert_null(rb_first(&root));
	assert_null(rb_last(&root));
	free(items);
}

static void test_replace(void **state maybe_unused)
{
	struct item items[20], spare;
	struct rb_root root = RB_ROOT_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		items[i] = (struct item){.key = i, .present = true};
		insert(&root, &items[i], false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		spare = items[i];
		rb_replace(&root, &items[i].rb, &spare.rb);
		items[i].present = false;
		check_tree(&root, ARRAY_SIZE(items), false);
		items[i] = spare;
		rb_replace(&root, &spare.rb, &items[i].rb);
		check_tree(&root, ARRAY_SIZE(items), false);
	}
}

static void test_linked_mark(void **state maybe_unused)
{
	struct rb_root root = RB_ROOT_INIT;
	struct item item = {.key = 1, .present = true};

	rb_node_clear(&item.rb);
	assert_false(rb_node_linked(&item.rb));
	insert(&root, &item, false);
	assert_true(rb_node_linked(&item.rb));
}

int rbtree_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	cmocka_unit_test(test_augmented),   cmocka_unit_test(test_ascending),
		cmocka_unit_test(test_replace), cmocka_unit_test(test_linked_mark),
	};

	return cmocka_run_group_tests_name("rbtree", tests, NULL, NULL);
}
