# Each allocation of memory fails once in a guest's program
# hosts: sim
# timeout: 120

# Its own allocator would not ask ours.
[ "${HCL_TEST_UNDER:-}" != asan ] || skip "AddressSanitizer allocates itself"

start_backend 'devices = [ "name=echo0,class=echo" ]
connect_interval_ms = 0'
start_watch
create guest1 'hcl = [ "device=echo0" ]'
one=$(domid guest1)
expect_equal "$(guest "$one" 'echo hi | hclcat -t 20 -w -n 3 echo0')" hi
wait_for 10 backend_state guest1 0 2
before=$(stock)
nth=1
while :; do
    status=0
    text=$(guest "$one" "rm -f /tmp/struck
        export NOMEM_LOG=/tmp/struck
        echo hi | NOMEM=$nth LD_PRELOAD=\"\$LD_PRELOAD $HCL_TEST_NOMEM\" \
            hclcat -t 20 -w -n 3 echo0" 2>&1) || status=$?
    guest "$one" test -e /tmp/struck || break
    case $status in
    0) expect_equal "$text" hi "without allocation $nth" ;;
    [1-6]) expect_match "$text" '^hclcat: ' "without allocation $nth" ;;
    # glibc gives up if it cannot load what pthread_cancel needs, which
    # libxenstore calls when it closes.
    134) expect_match "$text" 'pthread_cancel' "without allocation $nth" ;;
    *) fail "without allocation $nth: status $status: $text" ;;
    esac
    expect_equal "$(guest "$one" 'echo hi | hclcat -t 20 -w -n 3 echo0')" hi \
        "after allocation $nth"
    nth=$((nth + 1))
done
[ "$nth" -gt 100 ] || fail "only $nth allocations: they are not seen"
say "each of $((nth - 1)) allocations has failed once"
wait_for 10 backend_state guest1 0 2
expect_equal "$(stock)" "$before" "descriptors and mappings of the backend"
