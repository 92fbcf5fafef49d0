# A program killed ten times: the next one connects at once
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps" ]'
expect_equal "$(guest guest1 hclcat -n 3 rng0 | wc -c)" 3
before=$(host_left | grep -c '^grant:')
guest guest1 '
    for i in 1 2 3 4 5 6 7 8 9 10; do
        hclcat rng0 > /tmp/read &
        pid=$!
        until [ -s /tmp/read ]; do usleep 20000; done
        kill -9 $pid
        wait $pid
        : > /tmp/read
    done
    hclcat -t 10 -n 7 rng0 | wc -c > /tmp/last' || fail "the loop in the guest"
expect_equal "$(guest guest1 cat /tmp/last)" 7
wait_for 10 backend_state guest1 0 2
# Killed, and nobody comes after it: the backend notices by itself.
guest guest1 hclcat gps > /dev/null &
wait_for 20 backend_state guest1 1 4
guest guest1 killall -9 hclcat
wait_for 10 backend_state guest1 1 2
same_grants() {
    [ "$(host_left | grep -c '^grant:')" = "$before" ]
}
wait_for 10 same_grants

# Its frontend state stands at Connected for ever, but holds no save up.
expect_equal "$(frontend_node guest1 1 state)" 4
hclctl save guest1 /tmp/guest1.save || fail "hclctl save after a kill"
hclctl restore /tmp/guest1.save || fail "hclctl restore"
rm /tmp/guest1.save
wait_for 10 backend_state guest1 0 2
expect_equal "$(guest guest1 hclcat -t 20 -n 7 rng0 | wc -c)" 7
