# A device is detached at each point of a handshake, and attached again
# hosts: sim
# timeout: 120

start_backend 'devices = [ "name=echo0,class=echo" ]
connect_interval_ms = 0
retry_backoff_ms = 20'
create guest1
one=$(domid guest1)
use='echo hi | hclcat -t 10 -w -n 3 echo0'
attach() {
    hclctl attach guest1 device=echo0 > /dev/null || fail "hclctl attach"
}
struck_or_ended() {
    hcl-sim fault "domain=$one" | grep -q '^hits [^0]' ||
        ! kill -0 "$program"
}
attach
expect_equal "$(guest guest1 "$use")" hi
wait_for 10 backend_state guest1 0 2
before=$(stock)

# The guest's Nth request to xenstored gets its answer late: meanwhile the
# toolstack takes the device away.
nth=1
while :; do
    hcl-sim fault "domain=$one,clear=1"
    hcl-sim fault "domain=$one,call=store,nth=$nth,delay-ms=60"
    guest "$one" "$use" > /tmp/out 2>&1 &
    program=$!
    wait_for 10 struck_or_ended
    hclctl detach guest1 echo0 > /tmp/detach 2>&1 ||
        fail "detach at $nth: $(cat /tmp/detach)"
    status=0
    wait "$program" || status=$?
    expect_equal "$(xenstore_has "/local/domain/0/backend/hcl/$one")" no \
        "the backend's directory after a detach at $nth"
    struck=$(hcl-sim fault "domain=$one" | sed -n 's/^hits //p')
    if [ "$status" = 0 ]; then
        expect_equal "$(cat /tmp/out)" hi "detached at $nth"
    else
        expect_match "$(cat /tmp/out)" '^hclcat: echo0: ' "detached at $nth"
    fi
    attach
    [ "$struck" != 0 ] || break
    nth=$((nth + 1))
done
hcl-sim fault "domain=$one,clear=1"
say "detached at each of $((nth - 1)) requests"
expect_equal "$(guest guest1 "$use")" hi
wait_for 10 backend_state guest1 0 2
expect_equal "$(stock)" "$before" "descriptors and mappings of the backend"
hclctl detach guest1 echo0 > /dev/null || fail "hclctl detach"
