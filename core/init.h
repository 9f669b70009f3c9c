/* Start-up, as far as other parts of core/ need it. */
#pragma once

#include "lib/types.h"

/* PID 1 ended: says how and what that means, then does what `panic=` asks for. */
noreturn void kernel_init_exited(int wait_status);

/* smp.c: boot order step. */
void smp_init(void);
