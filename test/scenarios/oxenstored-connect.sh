# With oxenstored: Two guests made with plain xl create use two devices at the same time
# lab: --oxenstored --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 90

# shellcheck source=/dev/null
. /lib/hcl-test/scenarios/connect.sh
