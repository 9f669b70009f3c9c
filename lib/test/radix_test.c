/* lib/radix: random operations against a sorted array, node counts, and every allocation failing in turn. */
#include "lib/test/test.h"

#include "lib/radix.h"

static size_t nodes_live;
static long allocations_left = -1; /* negative: unlimited */

static void *node_alloc(const struct radix_mem *mem maybe_unused)
{
	void *node;

	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	nodes_live++;
	node = malloc(RADIX_NODE_BYTES);
	memset(node, 0xa5, RADIX_NODE_BYTES);
	return node;
}

static void node_free(const struct radix_mem *mem maybe_unused, void *node)
{
	nodes_live--;
	free(node);
}

static const struct radix_mem memory = {node_alloc, node_free};

enum { MODEL_MAX = 512 };

struct model {
	struct {
		uint64_t index;
		void *item;
	} entry[MODEL_MAX];
	size_t count;
};

/* The first entry at or after `index`. */
static size_t model_find(const struct model *model, uint64_t index)
{
	size_t i = 0;

	while (i < model->count && model->entry[i].index < index)
		i++;
	return i;
}

static void *model_get(const struct model *model, uint64_t index)
{
	size_t i = model_find(model, index);

	return i < model->count && model->entry[i].index == index ? model->entry[i].item : NULL;
}

static uint64_t random_index(void)
{
	switch (test_random_below(5)) {
	case 0:
		return test_random_below(70);
	case 1:
		return test_random_below(5000);
	case 2:
		return UINT64_MAX - test_random_below(70);
	case 3:
		return test_random_below(64) << test_random_below(64);
	default:
		return test_random() >> test_random_below(64);
	}
}

static void check_next(struct radix_tree *tree, const struct model *model, uint64_t index)
{
	uint64_t found = index;
	void *item = radix_next(tree, &found);
	size_t i = model_find(model, index);

	if (i == model->count) {
		assert_null(item);
		assert_int_equal(found, index);
	} else {
		assert_ptr_equal(item, model->entry[i].item);
		assert_int_equal(found, model->entry[i].index);
	}
}

static void check_walk(struct radix_tree *tree, const struct model *model)
{
	uint64_t index = 0;

	for (size_t i = 0; i < model->count; i++, index++) {
		assert_ptr_equal(radix_next(tree, &index), model->entry[i].item);
		assert_int_equal(index, model->entry[i].index);
	}
	assert_int_equal(tree->count, model->count);
}

static void random_step(struct radix_tree *tree, struct model *model)
{
	uint64_t index = random_index();
	void *old, *item = (void *)(uintptr_t)(test_random() | 1);
	size_t i;

	if (test_random_below(2) && model->count)
		index = model->entry[test_random_below(model->count)].index;
	old = model_get(model, index);
	i = model_find(model, index);
	assert_ptr_equal(radix_lookup(tree, index), old);
	check_next(tree, model, random_index());
	check_next(tree, model, index + 1);
	switch (test_random_below(4)) {
	case 0:
		assert_ptr_equal(radix_replace(tree, index, item), old);
		if (old)
			model->entry[i].item = item;
		break;
	case 1:
		assert_ptr_equal(radix_remove(tree, index), old);
		if (old)
			memmove(&model->entry[i], &model->entry[i + 1], (--model->count - i) * sizeof(model->entry[0]));
		break;
	default:
		if (model->count == MODEL_MAX)
			break;
		assert_int_equal(radix_insert(tree, index, item), old ? -EEXIST : 0);
		if (old)
			break;
		memmove(&model->entry[i + 1], &model->entry[i], (model->count++ - i) * sizeof(model->entry[0]));
		model->entry[i].index = index;
		model->entry[i].item = item;
	}
}

static void visit(void *ctx, uint64_t index, void *item)
{
	struct model *model = ctx;

	assert_int_equal(index, model->entry[0].index);
	assert_ptr_equal(item, model->entry[0].item);
	memmove(&model->entry[0], &model->entry[1], --model->count * sizeof(model->entry[0]));
}

static void test_against_array(void **state maybe_unused)
{
	struct model *model = calloc(1, sizeof(*model));
	struct radix_tree tree;

	test_random_seed(4);
	radix_init(&tree, &memory);
	for (int episode = 0; episode < 40; episode++) {
		for (int step = 0; step < 1000; step++)
			random_step(&tree, model);
		check_walk(&tree, model);
		if (episode % 2) {
			radix_clear(&tree, visit, model);
			assert_int_equal(model->count, 0);
		} else {
			while (model->count) {
				uint64_t index = model->entry[--model->count].index;

				assert_non_null(radix_remove(&tree, index));
			}
		}
		assert_true(radix_empty(&tree));
		assert_int_equal(nodes_live, 0);
		assert_int_equal(tree.levels, 0);
	}
	free(model);
}

static void test_node_counts(void **state maybe_unused)
{
	struct radix_tree tree;
	int item;

	radix_init(&tree, &memory);
	assert_int_equal(radix_insert(&tree, 0, &item), 0);
	assert_int_equal(nodes_live, 0);
	assert_int_equal(radix_insert(&tree, 0, &item), -EEXIST);
	assert_int_equal(radix_insert(&tree, 63, &item), 0);
	assert_int_equal(nodes_live, 1);
	assert_int_equal(radix_insert(&tree, 64, &item), 0);
	assert_int_equal(nodes_live, 3);
	assert_int_equal(radix_insert(&tree, UINT64_MAX, &item), 0);
	assert_int_equal(nodes_live, 3 + 9 + 10);
	assert_ptr_equal(radix_remove(&tree, UINT64_MAX), &item);
	assert_int_equal(nodes_live, 3);
	assert_ptr_equal(radix_remove(&tree, 64), &item);
	assert_int_equal(nodes_live, 1);
	assert_ptr_equal(radix_remove(&tree, 63), &item);
	assert_int_equal(nodes_live, 0);
	assert_ptr_equal(radix_lookup(&tree, 0), &item);
	radix_clear(&tree, NULL, NULL);
	assert_null(radix_lookup(&tree, 0));
}

/* Whatever allocation fails, the tree is as before: same items, same nodes. */
static void test_no_memory(void **state maybe_unused)
{
	struct radix_tree tree;
	int item;

	test_random_seed(5);
	for (int round = 0; round < 300; round++) {
		size_t before;
		int error = -ENOMEM;
		uint64_t kept[8], index = random_index();

		radix_init(&tree, &memory);
		for (size_t i = 0; i < round % ARRAY_SIZE(kept); i++) {
			kept[i] = random_index();
			if (kept[i] != index)
				assert_true(radix_insert(&tree, kept[i], &item) != -ENOMEM);
		}
		before = nodes_live;
		for (int allowed = 0; error; allowed++) {
			unsigned int levels = tree.levels;
			uint64_t count = tree.count;

			allocations_left = allowed;
			error = radix_insert(&tree, index, &item);
			allocations_left = -1;
			if (!error)
				break;
			assert_int_equal(error, -ENOMEM);
			assert_int_equal(nodes_live, before);
			assert_int_equal(tree.levels, levels);
			assert_int_equal(tree.count, count);
			assert_null(radix_lookup(&tree, index));
			assert_in_range(allowed, 0, 22);
		}
		assert_ptr_equal(radix_lookup(&tree, index), &item);
		radix_clear(&tree, NULL, NULL);
		assert_int_equal(nodes_live, 0);
	}
}

int radix_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_node_counts),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("radix", tests, NULL, NULL);
}
