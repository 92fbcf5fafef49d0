# A guest toggles its state 10,000 times, legal ones and others
# hosts: sim
# timeout: 120

start_backend 'devices = [ "name=echo0,class=echo" ]
connect_interval_ms = 0'
start_watch
create guest1 'hcl = [ "device=echo0" ]'
create guest2 'hcl = [ "device=echo0" ]'
expect_equal "$(guest guest1 'echo hi | hclcat -w -n 3 echo0')" hi
wait_for 10 backend_state guest1 0 2
before=$(stock)
hclcat_reads='yes 0123456789 | head -c 2000000 > /tmp/in
    hclcat -w -n 2000000 echo0 < /tmp/in | cmp - /tmp/in && echo same'
guest guest2 "$hclcat_reads" > /tmp/other &
other=$!
expect_equal "$(guest guest1 flap device/hcl/0/state $((10000 / slower)))" \
    "ok $((10000 / slower))"
wait "$other" || fail "the other guest"
expect_equal "$(cat /tmp/other)" same "the other guest's data"

# Once it behaves it is served again.
guest guest1 xenstore-write device/hcl/0/state 6
expect_equal "$(guest guest1 'echo hi | hclcat -t 20 -w -n 3 echo0')" hi
wait_for 10 backend_state guest1 0 2
wait_for 10 backend_state guest2 0 2
expect_equal "$(stock)" "$before" "descriptors and mappings of the backend"
