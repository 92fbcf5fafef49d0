# hclctl save and restore: programs in the guest go on
# lab: --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0" ]'
guest guest1 'hclcat -n 600000 rng0 > /tmp/read; echo $? > /tmp/status' &
reader=$!
wait_for 20 backend_state guest1 0 4
hclctl save guest1 /tmp/guest1.save || fail "hclctl save"
expect_equal "$(domid guest1)" ""
hclctl restore /tmp/guest1.save || fail "hclctl restore"
wait "$reader" || fail "the guest command was lost"
expect_equal "$(guest guest1 'cat /tmp/status; wc -c < /tmp/read')" "0
600000"
expect_equal "$(guest guest1 hclcat -n 3 rng0 | wc -c)" 3
# Released before the save, so the program may also end.
kernel_clean guest1
rm /tmp/guest1.save
