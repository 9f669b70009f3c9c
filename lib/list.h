/*
 * An intrusive, circular, doubly linked list.
 *
 * The node lives inside the element, so linking allocates nothing and cannot fail, and an element can leave its list
 * without the list being known. The head is a node of its own kind: passing an element where a list is meant does not
 * compile. The list owns nothing; whoever owns the elements also names the lock that guards the links.
 *
 * A node that is on no list either points to itself (after list_node_init or list_remove) or is all zero (fresh from a
 * zeroing allocator); list_node_linked() answers false for both.
 */
#pragma once

#include "lib/types.h"

struct list_node {
	struct list_node *prev, *next;
};

struct list {
	struct list_node head;
};

/* clang-format off */
#define LIST_INIT(name) {{&(name).head, &(name).head}}
/* clang-format on */

/* The element that holds `node`. */
#define LIST_ENTRY(node, type, member) container_of(node, type, member)

/* First or last element, NULL if the list is empty. */
#define LIST_FIRST(list, type, member) (list_empty(list) ? (type *)NULL : container_of((list)->head.next, type, member))
#define LIST_LAST(list, type, member) (list_empty(list) ? (type *)NULL : container_of((list)->head.prev, type, member))

/*
 * Visits every element; `var` is a plain variable of pointer-to-element type. `list` is evaluated repeatedly. When the
 * loop runs to its end `var` keeps the last element, so test for "not found" with a variable of your own.
 */
#define LIST_FOR_EACH(var, list, member)                                                                      \
	for (struct list_node *it_##var = (list)->head.next;                                                  \
	     it_##var != &(list)->head && ((var) = container_of(it_##var, __typeof__(*(var)), member), true); \
	     it_##var = it_##var->next)

/* The same; the body may remove (or free) `var`, but not the element after it. */
#define LIST_FOR_EACH_SAFE(var, list, member)                                                                 \
	for (struct list_node *it_##var = (list)->head.next, *after_##var = it_##var->next;                   \
	     it_##var != &(list)->head && ((var) = container_of(it_##var, __typeof__(*(var)), member), true); \
	     it_##var = after_##var, after_##var = it_##var->next)

#define LIST_FOR_EACH_REVERSE(var, list, member)                                                              \
	for (struct list_node *it_##var = (list)->head.prev;                                                  \
	     it_##var != &(list)->head && ((var) = container_of(it_##var, __typeof__(*(var)), member), true); \
	     it_##var = it_##var->prev)

static inline void list_init(struct list *list)
{
	list->head.prev = &list->head;
	list->head.next = &list->head;
}

static inline void list_node_init(struct list_node *node)
{
	node->prev = node;
	node->next = node;
}

static inline bool list_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

static inline bool list_node_linked(const struct list_node *node)
{
	return node->next != node && node->next;
}

/* `node` must be on no list; `at` must be on one. */
static inline void list_insert_after(struct list_node *at, struct list_node *node)
{
	struct list_node *next = at->next;

	node->prev = at;
	node->next = next;
	next->prev = node;
	at->next = node;
}

static inline void list_insert_before(struct list_node *at, struct list_node *node)
{
	list_insert_after(at->prev, node);
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
	list_insert_after(&list->head, node);
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
	list_insert_after(list->head.prev, node);
}

/* Leaves `node` linked to itself; removing it a second time does nothing. A zeroed node must not be removed. */
static inline void list_remove(struct list_node *node)
{
	struct list_node *prev = node->prev, *next = node->next;

	prev->next = next;
	next->prev = prev;
	list_node_init(node);
}

/* The ends, or NULL if the list is empty. */
static inline struct list_node *list_first(const struct list *list)
{
	return list_empty(list) ? NULL : list->head.next;
}

static inline struct list_node *list_last(const struct list *list)
{
	return list_empty(list) ? NULL : list->head.prev;
}

/* The neighbour of a node of `list`, or NULL at the end. */
static inline struct list_node *list_next(const struct list *list, const struct list_node *node)
{
	return node->next == &list->head ? NULL : node->next;
}

static inline struct list_node *list_prev(const struct list *list, const struct list_node *node)
{
	return node->prev == &list->head ? NULL : node->prev;
}

/* Removes and returns an end of the list, or NULL if the list is empty. */
static inline struct list_node *list_pop_front(struct list *list)
{
	struct list_node *node = list_first(list);

	if (node)
		list_remove(node);
	return node;
}

static inline struct list_node *list_pop_back(struct list *list)
{
	struct list_node *node = list_last(list);

	if (node)
		list_remove(node);
	return node;
}

/* Moves all of `from` to the end of `to`, in order, in constant time; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;

	struct list_node *first = from->head.next, *last = from->head.prev, *tail = to->head.prev;

	tail->next = first;
	first->prev = tail;
	last->next = &to->head;
	to->head.prev = last;
	list_init(from);
}
