/* Starting processors that are not there. */
#include <arch/smp.h>
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/slab.h"

KTEST(arch, cpu_that_does_not_answer_is_left_out)
{
	const unsigned id = CPUS_MAX - 1;
	if (cpus[id])
		ktest_skip("all 64 are in use");
	void *area = kzalloc(smp_area_bytes());
	KTEST_TRUE(area != NULL);
	smp_prepare(id, 0xfe, area, NULL); /* the highest id that is not a broadcast */
	uint64_t up = smp_start(BIT(id));
	KTEST_EQ(up, 0);
	KTEST_TRUE(!cpus[id] && str_equal(smp_failure(id), "it did not answer"));
	kfree(area); /* nobody is there who could still wake up */
}
