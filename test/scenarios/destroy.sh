# A guest destroyed in the middle of a transfer leaves nothing
# lab: --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 60

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps" ]'
create guest2 'hcl = [ "device=rng0" ]'
guest guest1 hclcat rng0 > /dev/null &
guest guest1 hclcat gps > /dev/null &
guest guest2 'hclcat -n 250000 rng0 | wc -c' > /tmp/other &
other=$!
for at in "guest1 0" "guest1 1" "guest2 0"; do
    # shellcheck disable=SC2086 # two words
    wait_for 20 backend_state $at 4
done
one=$(domid guest1)
destroy guest1
domain_gone() {
    ! xl list | awk '{ print $2 }' | grep -qx "$one"
}
wait_for 10 domain_gone
nodes_gone() {
    [ "$(xenstore_has "/local/domain/0/backend/hcl/$one")" = no ]
}
wait_for 10 nodes_gone
wait "$other" || fail "the other guest's hclcat failed"
expect_equal "$(cat /tmp/other)" 250000
