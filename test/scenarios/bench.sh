# hcl-bench measures an echo device, and what it counts adds up
# timeout: 120

start_backend 'devices = [ "name=echo0,class=echo" ]'
start_watch
create guest1 'hcl = [ "device=echo0" ]'

# For people: everything, with a line for each thing that it measures.
guest guest1 hcl-bench -n 200 -w 20 -T 20 -c echo0 > /tmp/text ||
    fail "hcl-bench: $(cat /tmp/text)"
text=$(cat /tmp/text)
expect_match "$text" '^echo0, of class echo: connected in [0-9.]+ (us|ms|s)$'
expect_match "$text" '^[0-9]+ requests at a time, pools of .* [0-9]+ pages shared'
expect_match "$text" '^latency: exchange of 64 bytes, pool buffers, 1 at a time$'
expect_match "$text" '^rate: write of 64 bytes, pool buffers, 128 at a time$'
expect_match "$text" '^depth: exchange of 64 bytes, pool buffers, 16 at a time$'
expect_match "$text" '^stream: exchange of 32768 bytes, copied, 4 at a time$'
expect_match "$text" '^stream: exchange of 32768 bytes, pool buffers, 4 at a time$'
expect_equal "$(grep -c '^  requests  200 in ' /tmp/text)" 5 "runs of 200"
expect_equal "$(grep -c '^  latency   smallest .*, 50% .*, 99.9% .*, largest ' \
    /tmp/text)" 5 "lines of latency"
expect_equal "$(grep -c '^  CPU .* % of one: .* a request$' /tmp/text)" 5 \
    "lines of CPU time"
expect_equal "$(grep -c '; 0 grant operations; 0 bytes copied$' /tmp/text)" 4 \
    "runs that copy nothing"
expect_match "$text" '; 0 grant operations; 13107200 bytes copied$'
expect_equal "$(grep -c '^  checked   200 answers, 0 wrong$' /tmp/text)" 4 \
    "runs of exchanges, checked"

# bench OPTION...: one run in the guest; its report is for value.
bench() {
    guest guest1 hcl-bench --json -w 20 -n 300 -T 20 "$@" echo0 > /tmp/json ||
        fail "hcl-bench $*: $(cat /tmp/json)"
}

# value NAME: a number of the report.
value() {
    sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\([0-9]*\).*/\1/p" /tmp/json |
        head -n 1
}

# expect_order NAME...: the numbers do not fall.
expect_order() {
    expect_order_last=0
    for expect_order_name in "$@"; do
        expect_order_value=$(value "$expect_order_name")
        [ "$expect_order_value" -ge "$expect_order_last" ] ||
            fail "$expect_order_name: $expect_order_value is too little"
        expect_order_last=$expect_order_value
    done
}

# adds_up TX RX CHECKED COPIED: what 300 requests have to have cost.
adds_up() {
    expect_equal "$(value requests) $(value failed) $(value count)" \
        "300 0 300" "requests"
    expect_equal "$(value tx_bytes) $(value rx_bytes)" "$1 $2" "bytes"
    expect_equal "$(value checked) $(value mismatched)" "$3 0" "answers checked"
    expect_equal "$(value copied_bytes)" "$4" "bytes copied"
    expect_equal "$(value grant_operations) $(value reconnects)" "0 0"
    # At most one event for each request, and each answer; a few for the start.
    [ "$(value events_out)" -le 310 ] || fail "events out: $(value events_out)"
    [ "$(value events_in)" -le 310 ] || fail "events in: $(value events_in)"
    expect_order min p50 p90 p99 p99_9 max
    expect_order min mean max
    [ "$(value min)" -gt 0 ] || fail "an answer took no time"
    [ "$(value elapsed_us)" -gt 0 ] ||
        fail "it took no time"
}

bench -m latency -c
adds_up 19200 19200 300 0
[ $((300 * $(value mean))) -le $((1000 * $(value elapsed_us) + 1000)) ] ||
    fail "300 times $(value mean) ns are more than $(value elapsed_us) us"
bench -m latency -b copy -s 100 -c
adds_up 30000 30000 300 60000
bench -m rate -b copy -s 28
adds_up 8400 0 0 8400
bench -m depth -d 40 -H 8 -c
adds_up 19200 19200 300 0
bench -m stream -o read -b pool -s 64K -d 2
adds_up 0 19660800 0 0
bench -m stream -b copy -s 16K -d 3 -c
adds_up 4915200 4915200 300 9830400

# The backend dies meanwhile: no request is lost, none is answered wrongly.
guest guest1 hcl-bench --json -m depth -n 100000000 -T 3 -c echo0 > /tmp/json &
bench=$!
wait_for 20 backend_state guest1 0 4
killall -9 hcl-worker
wait "$bench" || fail "hcl-bench did not survive: $(cat /tmp/json)"
expect_equal "$(value failed) $(value mismatched)" "0 0"
expect_equal "$(value checked)" "$(value requests)"
[ "$(value requests)" -gt 0 ] || fail "no request"

# Mistakes, and what is not there.
expect_status 1 guest guest1 hcl-bench
expect_status 1 guest guest1 hcl-bench -s many echo0
expect_match "$(guest guest1 hcl-bench -s many echo0 2>&1)" \
    "--size 'many': expected bytes"
expect_status 2 guest guest1 hcl-bench nothing
expect_match "$(guest guest1 hcl-bench nothing 2>&1)" 'nothing.*echo0'
expect_status 5 guest guest1 hcl-bench -m depth -H 1000 -n 1 echo0
expect_match "$(guest guest1 hcl-bench -H 1000 -n 1 echo0 2>&1)" 'handles'
expect_status 5 guest guest1 hcl-bench -m depth -s 1M -d 8 -n 1 echo0
expect_match "$(guest guest1 hcl-bench -m depth -s 1M -d 8 -n 1 echo0 2>&1)" \
    'make --size or --depth smaller'
stop_backend
expect_status 4 guest guest1 hcl-bench --timeout 0.5 -n 1 echo0

# Without Xen, on the host itself.
hcl-bench --local --json -m depth -w 20 -n 300 -c > /tmp/json ||
    fail "hcl-bench --local: $(cat /tmp/json)"
adds_up 19200 19200 300 0
expect_equal "$(pidof hcl-worker)" "" "what hcl-bench --local leaves behind"
