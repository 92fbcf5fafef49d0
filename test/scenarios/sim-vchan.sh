# Debian's libxenvchan works between two simulated domains, unmodified
# hosts: sim
# timeout: 60

create guest1
create guest2
one=$(domid guest1)
two=$(domid guest2)
guest guest1 vchan server "$two" data/vchan 20000 > /tmp/server 2>&1 &
server=$!
server_ready() {
    grep -q '^ready$' /tmp/server
}
wait_for 10 server_ready
expect_equal "$(guest guest2 vchan client "$one" \
    "/local/domain/$one/data/vchan" 20000 2>&1)" "exchanged 20000"
wait "$server" || fail "the server: $(cat /tmp/server)"
expect_match "$(cat /tmp/server)" '^served 20000$'

# A server that dies: the client's next call fails, and nothing is left.
guest guest1 vchan server "$two" data/vchan 1000000 > /tmp/server 2>&1 &
wait_for 10 server_ready
guest guest2 vchan client "$one" "/local/domain/$one/data/vchan" 1000000 \
    > /tmp/client 2>&1 &
client=$!
wait_for 10 guest guest2 pidof vchan
guest guest1 killall -9 vchan
expect_status 1 wait "$client"
