# Every state and every illegal value of a frontend, in every state of a backend
# hosts: sim
# timeout: 120

start_backend 'devices = [ "name=echo0,class=echo",
    "name=other0,class=echo,allow=nobody" ]
connect_interval_ms = 0'
start_watch
create guest1 'hcl = [ "device=echo0", "device=other0" ]'
wait_for 10 backend_state guest1 0 2
wait_for 10 backend_state guest1 1 6

# settles DEVID STATE: the backend has it, in the end.
settles() {
    wait_for 10 backend_state guest1 "$1" "$2"
}
works() {
    guest guest1 "xenstore-write device/hcl/0/state 6"
    expect_equal "$(guest guest1 'echo hi | hclcat -t 20 -w -n 3 echo0')" hi
    settles 0 2
}

# write VALUE DEVID: as the guest; "gone" removes the node, "binary" has a NUL.
write() {
    case $1 in
    gone) guest guest1 "xenstore-rm device/hcl/$2/state" ;;
    *) guest guest1 "xenstore-write -- device/hcl/$2/state '$1'" ;;
    esac
}
front_connected() {
    [ "$(frontend_node guest1 0 state)" = 4 ]
}
other_connection() {
    other_connection_now=$(backend_node guest1 0 incarnation) &&
        [ "$other_connection_now" != "$connected_as" ]
}
illegal='0 7 -1 44 04 x 4x 99999999999 ""'

# InitWait: only 3 and what is no state make a difference.
for value in gone 1 2 4 5 6; do
    write "$value" 0
    settles 0 2
done
for value in $illegal; do
    write "$value" 0
    settles 0 6
    expect_match "$(backend_node guest1 0 error)" 'state'
    works
done
# 3 without anything published.
write 3 0
settles 0 6
works

# Connected.
for value in gone 1 2 5 6 $illegal; do
    guest guest1 'sleep 30 | (hclcat -w -n 3 echo0; status=$?
        killall sleep; exit $status)' > /tmp/out 2>&1 &
    program=$!
    settles 0 4
    wait_for 10 front_connected
    connected_as=$(backend_node guest1 0 incarnation)
    write "$value" 0
    case $value in
    1 | 2 | 5 | 6)
        # It disconnects; libhcl, which has not written that, connects anew.
        wait_for 10 other_connection
        guest guest1 killall -9 hclcat sleep
        ;;
    *)
        # The program is told why it has lost the device.
        expect_status 5 wait "$program"
        expect_match "$(cat /tmp/out)" '^hclcat: echo0: .*state'
        ;;
    esac
    wait "$program"
    works
done

# Closed, by a refusal: nothing a guest writes changes that.
for value in gone 1 2 3 4 5 6 $illegal; do
    write "$value" 1
    settles 1 6
    expect_match "$(backend_node guest1 1 error)" 'allow'
done
