# Plain xl save -c, save and restore under load do no harm
# lab: --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0" ]'
# The last command sleeps: Linux hits a bug when a program that held event
# channels at a plain save ends (README, limits).
guest guest1 'hclcat rng0 > /tmp/read' &
wait_for 20 backend_state guest1 0 4
size() {
    guest guest1 wc -c /tmp/read | cut -d ' ' -f 1
}
grows() {
    grows_now=$(size)
    [ "$grows_now" -gt "$before" ]
}

# A checkpoint: nothing happens to the connection.
old=$(domid guest1)
xl save -c guest1 /tmp/checkpoint > /dev/null 2>&1 || fail "xl save -c"
expect_equal "$(domid guest1)" "$old"
before=$(size)
wait_for 20 grows
kernel_clean guest1

# The whole domain: it comes back under another id, with its program.
save guest1 /tmp/guest1.save
restore /tmp/guest1.save
has_other_domid guest1 "$old" || fail "no new domid"
wait_for 20 backend_state guest1 0 4
before=$(size)
wait_for 20 grows
kernel_clean guest1
rm -f /tmp/checkpoint /tmp/guest1.save
