/*
 * The words every file uses: fixed-width integers, the three kinds of address, and a few macros.
 *
 * Addresses are one-member structs so that a physical address, a virtual address and a pointer that came from a program
 * cannot be passed for one another: mixing them does not compile, and the wrapping costs nothing in the generated code.
 *
 *   paddr_t   a physical address: never dereferenced; mm/page.h turns it into a pointer through the direct map
 *   vaddr_t   a virtual address treated as a number, in the kernel's or a program's half
 *   uptr_t    a pointer a program gave us: only mm/usercopy.h may follow it
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint64_t v;
} paddr_t;

typedef struct {
	uint64_t v;
} vaddr_t;

typedef struct {
	uint64_t v;
} uptr_t;

static inline paddr_t paddr(uint64_t v)
{
	return (paddr_t){v};
}

static inline vaddr_t vaddr(uint64_t v)
{
	return (vaddr_t){v};
}

static inline uptr_t uptr(uint64_t v)
{
	return (uptr_t){v};
}

static inline vaddr_t vaddr_of(const void *p)
{
	return (vaddr_t){(uintptr_t)p};
}

static inline uptr_t uptr_add(uptr_t p, uint64_t n)
{
	return (uptr_t){p.v + n};
}

static inline bool uptr_null(uptr_t p)
{
	return p.v == 0;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
/* a must be a power of two */
#define ALIGN_UP(x, a) (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((a)-1)) == 0)
#define BIT(n) (1ull << (n))

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))
#define noreturn __attribute__((noreturn))
#define packed_struct __attribute__((packed))
#define aligned_to(n) __attribute__((aligned(n)))
#define always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define cold __attribute__((cold))
#define maybe_unused __attribute__((unused))
#define in_section(name) __attribute__((used, section(name)))
#define cleanup_with(fn) __attribute__((cleanup(fn)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define fallthrough __attribute__((fallthrough))

/* One read or write of a shared word that the compiler may not repeat, split or drop. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val) (*(volatile __typeof__(x) *)&(x) = (val))
