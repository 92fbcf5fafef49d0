# With oxenstored: The backend stops and starts: guests' programs go on
# lab: --oxenstored --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 90

# shellcheck source=/dev/null
. /lib/hcl-test/scenarios/backend-restart.sh
