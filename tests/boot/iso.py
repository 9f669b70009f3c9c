"""The CD image: GRUB and Multiboot2, by BIOS and by UEFI."""
from ashlartest import cases, timeout


@cases(firmware=["bios", "uefi"])
@timeout(120)
def test_reaches_shell(ctx, firmware):
    with ctx.guest(iso="out/ashlar.iso", machine="q35", memory="512M",
                   firmware="uefi" if firmware == "uefi" else None) as guest:
        guest.boot()
        assert guest.shell("echo $((6 * 7))") == "42"
