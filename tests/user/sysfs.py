"""/sys: the processors, as the C library and Debian's programs look for them."""
from ashlartest import cases, timeout


@cases(cpus=[1, 2])
@timeout(60)
def test_cpus(ctx, cpus):
    with ctx.guest(append="console=ttyS0 loglevel=1", smp=cpus) as guest:
        guest.boot()
        guest.shell("cd /sys/devices/system/cpu")
        wanted = "0" if cpus == 1 else f"0-{cpus - 1}"
        assert guest.shell("cat online possible present").split() == [wanted] * 3
        assert guest.shell("cat offline isolated") == ""
        assert guest.shell("ls -d cpu[0-9]*").split() == [f"cpu{n}" for n in range(cpus)]
        assert guest.shell(f"cat cpu{cpus - 1}/topology/core_id") == str(cpus - 1)
        assert guest.shell("nproc") == str(cpus)
        assert guest.run("echo 1 >online 2>/dev/null; mkdir x 2>/dev/null; rm kernel_max 2>/dev/null; ls") == guest.run("ls")
        assert "on /sys type sysfs" in guest.shell("mount")
