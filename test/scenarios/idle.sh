# A host whose guests do nothing does nothing: no process wakes up
# timeout: 60

start_backend 'devices = [ "name=echo0,class=echo,alive-interval-ms=100" ]'
start_watch
create guest1 'hcl = [ "device=echo0" ]'
guest guest1 'sleep 1000 | hclcat -w echo0 > /dev/null 2>&1 &
    echo $! > /tmp/hclcat'
wait_for 20 backend_state guest1 0 4

# switches: how often each process of HCL, in dom0 and in the guest, has slept.
switches() {
    for pid in $(pidof hcl-backend) $(pidof hcl-worker) $(pidof hclctl); do
        grep '^voluntary' "/proc/$pid/status"
    done
    guest guest1 'grep "^voluntary" "/proc/$(pidof hclcat)/status"'
}

is_quiet() {
    before=$(switches)
    expect_equal "$(echo "$before" | wc -l)" 4
    sleep 2 # to see that nothing happens there is no other way
    [ "$before" = "$(switches)" ]
}
wait_for 40 is_quiet

# And none of them sleeps too deep.
guest guest1 'kill $(pidof hclcat)'
wait_for 20 backend_state guest1 0 2
