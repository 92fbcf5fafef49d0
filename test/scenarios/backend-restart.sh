# The backend stops and starts: guests' programs go on
# lab: --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps", "device=echo0" ]'
guest guest1 'hclcat rng0 > /tmp/read' &
start_paced guest1
wait_for 20 has_read guest1 0
generation=$(backend_node guest1 0 generation)
stop_backend
expect_equal "$(backend_node guest1 0 state)" 1
expect_equal "$(backend_node guest1 1 state)" 1
expect_match "$(backend_node guest1 0 error)" 'stopped'
no_programs() {
    ! pidof hcl-worker hcl-backend
}
no_programs || fail "a program of the backend runs on"
standard_backend
wait_for 20 backend_state guest1 0 4
[ "$(backend_node guest1 0 generation)" != "$generation" ] ||
    fail "two lives of the backend have one generation"
end_paced guest1
goes_on guest1

# child_of PARENT: the process of rng0 with that parent.
child_of() {
    for child_of_pid in $(pidof hcl-worker); do
        if tr '\0' ' ' < "/proc/$child_of_pid/cmdline" | grep -q rng0 &&
            grep -qx "PPid:	$1" "/proc/$child_of_pid/status"; then
            echo "$child_of_pid"
        fi
    done
}

# Killed: the worker, and the process that reads the device for it.
program=$(guest guest1 pidof hclcat)
for what in worker helper; do
    parent=$(pidof hcl-backend)
    [ "$what" = worker ] || parent=$(child_of "$parent")
    victim=$(child_of "$parent")
    [ -n "$victim" ] || fail "rng0 has no $what"
    kill -9 "$victim"
    goes_on guest1
done
expect_equal "$(guest guest1 pidof hclcat)" "$program"
