/* The heap under a long random use, checked by a pattern in each block: prints only what is the same on every run. */
#include "user/rt/rt.h"

#define SLOTS 200

static struct {
	unsigned char *p;
	size_t len;
	unsigned char fill;
} slots[SLOTS];

static unsigned seed = 1;

static unsigned next(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static bool intact(unsigned i)
{
	for (size_t k = 0; k < slots[i].len; k++)
		if (slots[i].p[k] != slots[i].fill)
			return false;
	return true;
}

int main(int argc, char **argv, char **envp)
{
	unsigned bad = 0, misaligned = 0;

	(void)argc;
	(void)argv;
	(void)envp;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = next() % SLOTS;
		bad += !intact(i);
		free(slots[i].p);
		slots[i].len = next() % 3000;
		slots[i].fill = (unsigned char)round;
		slots[i].p = malloc(slots[i].len);
		if (!slots[i].p)
			return 1;
		misaligned += ((uintptr_t)slots[i].p & 15) != 0;
		memset(slots[i].p, slots[i].fill, slots[i].len);
	}
	char *text = realloc(NULL, 4);
	memcpy(text, "abc", 4);
	text = realloc(text, 100000);
	printf("20000 rounds: %u damaged, %u misaligned; realloc kept \"%s\"\n", bad, misaligned, text);
	printf("as much as there is not: %s\n", malloc((size_t)1 << 46) ? "given" : "refused");
	return 0;
}
