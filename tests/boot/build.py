"""What the compiler has to refuse."""
import subprocess

from ashlartest import needs, timeout

INCLUDES = ["-I.", "-Iarch/x86_64/include"]
CONFIG = ["-DCONFIG_DEBUG=0", "-DCONFIG_KTEST=1", "-DCONFIG_UBSAN=0", "-DCONFIG_KASAN=0"]
HEADERS = '#include "core/log.h"\n#include "core/panic.h"\n#include "core/ktest.h"\n#include "lib/printf.h"\n'


def refusal(ctx, statement):
    """What gcc says to a function with this statement in it; "" if nothing."""
    source = HEADERS + f"void f(char *buf, struct fmt_sink *sink);\nvoid f(char *buf, struct fmt_sink *sink)\n{{\n{statement}\n}}\n"
    done = subprocess.run(["gcc", "-std=gnu17", "-ffreestanding", *INCLUDES, *CONFIG, "-Wformat", "-Werror", "-fsyntax-only",
                           "-x", "c", "-"], input=source, cwd=ctx.root, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


@timeout(60)
@needs()
def test_formats_are_checked(ctx):
    """Each function that takes a format refuses arguments that do not go with it."""
    for call in ("log_info(%s);", "log_write(LOG_ERR, %s);", "panic(%s);", "snprintf(buf, 10, %s);", "fmt_print(sink, %s);",
                 "ktest_fail(buf, 1, %s);"):
        good = refusal(ctx, "(void)buf; (void)sink; " + call % '"%d %s %llu", 1, "two", 3ull')
        assert good == "", good
        for wrong in ('"%s", 1', '"%d", "one"', '"%d %d", 1', '"%d", 1ull'):
            assert "-Werror=format" in refusal(ctx, "(void)buf; (void)sink; " + call % wrong), f"{call} takes {wrong}"
