/* Pipes and FIFOs. */
#pragma once

#include "fs/vfs.h"

/* pipe2(2): flags O_CLOEXEC is the caller's; O_NONBLOCK, O_DIRECT are kept. Both owned. -ENOMEM, -EINVAL. */
int pipe_create(unsigned flags, struct file **reader, struct file **writer) must_check;
/* F_SETPIPE_SZ / F_GETPIPE_SZ: -EBADF when f is no pipe. */
long pipe_set_size(struct file *f, unsigned long bytes, bool privileged);
long pipe_get_size(struct file *f);
/*
 * A reader gone makes writes fail with -EPIPE; the system-call layer sends SIGPIPE.
 */
