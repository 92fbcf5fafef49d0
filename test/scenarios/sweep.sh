# Each grant, map, bind, allocation and xenstore call fails, on both ends
# hosts: sim
# timeout: 170

start_backend 'devices = [ "name=echo0,class=echo" ]
connect_interval_ms = 0
retry_backoff_ms = 20'
create guest1
hclctl attach guest1 device=echo0 || fail "hclctl attach"
one=$(domid guest1)
wait_for 10 backend_state guest1 0 2
use='echo hi | hclcat -t 20 -w -n 3 echo0'
expect_equal "$(guest guest1 "$use")" hi
wait_for 10 backend_state guest1 0 2

before=$(stock)
hcl-sim audit | grep -v '^node: ' > /tmp/before

# hits DOMAIN: how many faults have struck.
hits() {
    hcl-sim fault "domain=$1" | sed -n 's/^hits //p'
}

# sweep DOMAIN CALL: one connection for each of its calls, which fails; then
# the device works as before and nothing is left of the failure.
sweep() {
    sweep_nth=1
    while :; do
        hcl-sim fault "domain=$1,clear=1"
        hcl-sim fault "domain=$1,call=$2,nth=$sweep_nth"
        sweep_text=$(guest "$one" "$use" 2>&1)
        sweep_status=$?
        sweep_hits=$(hits "$1")
        hcl-sim fault "domain=$1,clear=1"
        [ "$sweep_hits" != 0 ] || break
        # Either it came through all the same, or it says what was wrong.
        if [ "$sweep_status" = 0 ]; then
            expect_equal "$sweep_text" hi "$2 $sweep_nth of domain $1"
        else
            expect_match "$sweep_text" '^hclcat: echo0: .*[a-z]' \
                "$2 $sweep_nth of domain $1"
        fi
        expect_equal "$(guest guest1 "$use" 2>&1)" hi \
            "after $2 $sweep_nth of domain $1"
        sweep_nth=$((sweep_nth + 1))
    done
    say "domain $1: each of $((sweep_nth - 1)) $2 calls has failed once"
}

for call in grant alloc open store; do
    sweep "$one" "$call"
done
# Nothing else of dom0 asks xenstored meanwhile: the guest goes by its number.
for call in open map bind store; do
    sweep 0 "$call"
done
wait_for 10 backend_state guest1 0 2
expect_equal "$(stock)" "$before" "descriptors and mappings of the backend"
left_as_before() {
    hcl-sim audit | grep -v '^node: ' > /tmp/after
    cmp -s /tmp/before /tmp/after
}
wait_for 10 left_as_before
hclctl detach guest1 echo0 || fail "hclctl detach"
