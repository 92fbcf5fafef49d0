# A guest connects and disconnects 10,000 times; nothing grows on either side
# hosts: sim
# timeout: 300

start_backend 'devices = [ "name=echo0,class=echo" ]
connect_interval_ms = 0'
start_watch
create guest1 'hcl = [ "device=echo0" ]'
create guest2 'hcl = [ "device=echo0" ]'

# memory PROGRAM: what it has for itself, KiB.
memory() {
    awk '/^RssAnon/ { print $2 }' "/proc/$(pidof "$1")/status"
}

for name in guest1 guest2; do
    expect_equal "$(guest "$name" churn echo0 50)" "ok 50"
    wait_for 10 backend_state "$name" 0 2
done
before=$(stock)
backend=$(memory hcl-backend)
worker=$(memory hcl-worker)
count=$((5000 / slower / slower))
guest guest1 churn echo0 "$count" > /tmp/churn1 &
first=$!
guest guest2 churn echo0 "$count" > /tmp/churn2 || fail "$(cat /tmp/churn2)"
wait "$first" || fail "$(cat /tmp/churn1)"
for number in 1 2; do
    expect_equal "$(cat /tmp/churn$number)" "ok $count"
    wait_for 10 backend_state "guest$number" 0 2
done
expect_equal "$(stock)" "$before" "descriptors and mappings of the backend"
# A sanitizer keeps what was freed for a while.
[ -z "${HCL_TEST_UNDER:-}" ] || exit 0
[ "$(memory hcl-backend)" -le $((backend + 64)) ] || fail "the backend has grown"
[ "$(memory hcl-worker)" -le $((worker + 64)) ] || fail "the worker has grown"
