# gdb -x tools/gdb/ashlar.gdb build/x86_64/ashlar      (after `make debug` in another terminal)
set architecture i386:x86-64
set disassembly-flavor att
set print pretty on
set print static-members off
set history save off
target remote :1234
# QEMU's breakpoints in software need mapped text; hardware ones work from the first instruction on.
hbreak panic_at
echo \nStopped before the first instruction.  `continue` runs; `hbreak kernel_start`, then `continue`, stops in C.\n
