/* Memory barriers on other threads' processors (man 2 membarrier).  Theory in membarrier.c. */
#pragma once

#include "lib/types.h"

long membarrier(int cmd, unsigned flags, int cpu);
