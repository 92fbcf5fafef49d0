# What a guest sends to an echo device comes back
# timeout: 60

start_backend 'devices = [ "name=echo0,class=echo" ]'
start_watch
create guest1 'hcl = [ "device=echo0" ]'

expect_equal "$(guest guest1 'echo hello | hclcat -w -n 6 echo0')" hello
# More than a slot, more than a page, more than the pool.
guest guest1 'dd if=/dev/urandom of=/tmp/in bs=1k count=3000 2> /dev/null
    hclcat -w -n 3072000 echo0 < /tmp/in > /tmp/out && cmp /tmp/in /tmp/out' ||
    fail "3072000 bytes did not come back as they were"
# A device that is not there, bad usage, a time-out.
expect_status 2 guest guest1 hclcat -n 1 nothing
expect_status 1 guest guest1 hclcat -n x echo0
expect_status 1 guest guest1 hclcat
expect_match "$(guest guest1 hclcat -n 1 nothing 2>&1)" 'nothing.*echo0'
stop_backend
status=0
message=$(guest guest1 hclcat -t 1 -n 1 echo0 2>&1) || status=$?
expect_equal "$status" 4 "exit status without a backend"
expect_match "$message" 'hcl-backend'
