# With oxenstored: A guest loses a device and gets it back while the other goes on
# lab: --oxenstored --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 60

# shellcheck source=/dev/null
. /lib/hcl-test/scenarios/detach-attach.sh
