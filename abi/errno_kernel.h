/*
 * Results that never reach a program: how an interrupted system call wants to go on after a signal (signal(7),
 * "Interruption of system calls").  proc/signal.c turns each into a restart or -EINTR.
 */
#pragma once

#include <asm/errno.h>

#define ERESTARTSYS 512		  /* restart if the handler has SA_RESTART or there is no handler, else EINTR */
#define ERESTARTNOINTR 513	  /* always restart */
#define ERESTARTNOHAND 514	  /* restart only if no handler ran */
#define ERESTART_RESTARTBLOCK 516 /* restart through restart_syscall(2) with the remaining time */
