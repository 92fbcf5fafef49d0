# The simulated host does what it says: ids, namespaces, statuses, faults, audit
# hosts: sim
# timeout: 60

config() {
    printf 'name = "%s"\n' "$1" > "/tmp/$1.cfg"
    echo "/tmp/$1.cfg"
}
expect_equal "$(hcl-sim create "$(config one)")" 1
expect_equal "$(hcl-sim create "$(config two)")" 2
expect_equal "$(hcl-sim list | awk '{ print $1, $2 }' | tr '\n' ' ')" \
    "Name ID Domain-0 0 one 1 two 2 "
expect_status 1 hcl-sim create /tmp/one.cfg 2> /dev/null
expect_status 1 hcl-sim destroy three 2> /dev/null

# As libxl makes them: whose they are, and what the guest may.
expect_equal "$(xenstore-read /local/domain/1/name /local/domain/1/domid \
    /local/domain/2/name | tr '\n' ' ')" "one 1 two "
uuid=$(xenstore-read /local/domain/1/vm)
expect_equal "$(xenstore-read "$uuid/name")" one
expect_equal "$(guest one xenstore-read name domid | tr '\n' ' ')" "one 1 "
expect_status 0 guest one 'xenstore-write data/x 1 control/shutdown x'
expect_status 1 guest one 'xenstore-write device/x 1 2> /dev/null'
expect_status 1 guest one \
    'xenstore-read /local/domain/2/data 2> /dev/null'

# exec: status, streams, folders of its own, end with the guest.
expect_status 7 hcl-sim exec one sh -c 'exit 7'
expect_status 143 hcl-sim exec 1 sh -c 'kill -TERM $$'
expect_status 127 hcl-sim exec one no-such-command 2> /dev/null
expect_equal "$(echo in | hcl-sim exec one sh -c 'cat; echo err >&2' 2> /dev/null)" in
hcl-sim exec one sh -c 'echo 1 > /tmp/mine; echo 1 > /run/mine'
expect_status 1 hcl-sim exec two test -e /tmp/mine
if [ -e /tmp/mine ] || [ -e /run/mine ]; then
    fail "a guest's file is in dom0"
fi
hcl-sim exec one sleep 100 &
sleeper=$!
wait_for 5 guest one pidof sleep
expect_status 1 guest two pidof sleep
expect_status 1 pidof sleep

# Paused, it stands still; what is run meanwhile waits.
hcl-sim pause one
guest one 'echo late' > /tmp/late &
late=$!
expect_equal "$(hcl-sim list | awk '$1 == "one" { print $5 }')" "--p---"
expect_equal "$(cat /tmp/late)" ""
hcl-sim unpause one
wait "$late"
expect_equal "$(cat /tmp/late)" late

# Rebooted it has a new id, and its programs have ended.
hcl-sim reboot one
expect_status 250 wait "$sleeper"
has_new_id() {
    [ "$(domid one)" = 3 ]
}
wait_for 10 has_new_id
expect_equal "$(xenstore_has /local/domain/1)" no
expect_equal "$(hcl-sim exec one ls /tmp/mine 2> /dev/null)" ""

# Saved and restored, its programs go on.
hcl-sim exec two sh -c 'echo $$ > /tmp/pid; exec sleep 100' &
sleeper=$!
wait_for 5 guest two test -s /tmp/pid
hcl-sim save two /tmp/two.save
expect_status 1 domid two
hcl-sim restore /tmp/two.save
expect_equal "$(domid two)" 4
expect_equal "$(guest two pidof sleep)" "$(guest two cat /tmp/pid)"
expect_status 1 hcl-sim restore /tmp/two.save 2> /dev/null

# Quotas and faults.
hcl-sim quota nodes=30
write_many='i=0; while [ $i -lt 30 ]; do xenstore-write data/n$i x || exit 9
    i=$((i + 1)); done'
expect_status 9 guest one "$write_many" 2> /dev/null
hcl-sim quota nodes=1000
expect_status 0 guest one "$write_many"
hcl-sim fault domain=one,call=store,error=EIO
expect_status 1 guest one xenstore-read name 2> /dev/null
expect_equal "$(guest one xenstore-read name)" one
expect_match "$(hcl-sim fault domain=one)" '^hits 1$'
hcl-sim fault domain=one,clear=1
expect_status 125 hcl-sim fault domain=one,call=nothing 2> /dev/null
expect_status 125 hcl-sim fault domain=nobody,cut=1 2> /dev/null

# Cut off, it waits for xenstored until that is mended.
hcl-sim fault domain=one,cut=1
guest one 'xenstore-read name > /tmp/answer' &
reader=$!
guest one 'test ! -s /tmp/answer' || fail "an answer came through"
hcl-sim fault domain=one,cut=0
wait "$reader"
expect_equal "$(guest one cat /tmp/answer)" one

# A host within the host is another one; its audit tells what is left in it.
expect_equal "$(hcl-sim run -- hcl-sim list | wc -l)" 2
expect_status 0 hcl-sim run -- hcl-sim audit
expect_status 1 hcl-sim run -- sh -c 'xenstore-write /tool/x 1
    hcl-sim audit > /dev/null'
expect_status 9 hcl-sim run -- sh -c 'exit 9'
hcl-sim destroy one
hcl-sim destroy two
expect_status 250 wait "$sleeper"
