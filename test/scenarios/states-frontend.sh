# Every state and every illegal value of a backend, in every state of a frontend
# hosts: sim
# timeout: 120

create guest1
one=$(domid guest1)
hcl-attach "$one" echo0 > /dev/null || fail "hcl-attach"
back=/local/domain/0/backend/hcl/$one/0

# No backend runs: what one would write, this does.
# advertise: state 2 with all that belongs to it.
advertise() {
    xenstore-write "$back/class" echo "$back/versions" 1 \
        "$back/generation" 0123456789abcdef "$back/max-queues" 1 \
        "$back/max-ring-page-order" 0 "$back/max-pool-pages" 64 \
        "$back/max-handles" 4 "$back/idempotent" 3
    xenstore-rm "$back/incarnation" 2> /dev/null
    xenstore-rm "$back/error" 2> /dev/null
    xenstore-write "$back/state" 2
}
front_state() {
    [ "$(frontend_node guest1 0 state)" = "$1" ]
}
# begin: a program that wants the device; it is in state 1, then, by
# advertise, in 3, then, by connect, in 4.
begin() {
    xenstore-write "$back/state" 1
    guest guest1 'sleep 30 | (hclcat -w -n 3 echo0; status=$?
        killall sleep; exit $status)' > /tmp/out 2>&1 &
    program=$!
    wait_for 10 front_state 1
}
publish() {
    advertise
    wait_for 10 front_state 3
}
connect() {
    xenstore-write "$back/incarnation" "$(frontend_node guest1 0 incarnation)" \
        "$back/state" 4
    wait_for 10 front_state 4
}
end() {
    guest guest1 killall -9 hclcat sleep 2> /dev/null
    wait "$program"
}
# write VALUE: as the backend; "gone" removes the node.
write() {
    if [ "$1" = gone ]; then
        xenstore-rm "$back/state"
    else
        xenstore-write -- "$back/state" "$1"
    fi
}
# ended STATUS REGEX: the program has, with a message.
ended() {
    expect_status "$1" wait "$program"
    expect_match "$(cat /tmp/out)" "$2"
}
illegal='0 7 -1 44 04 x 4x 99999999999'

# Initialising: 6 refuses, no state is a fault, others are waited through.
for value in 3 5; do
    begin
    write "$value"
    publish
    end
done
for value in $illegal; do
    begin
    write "$value"
    ended 5 'state'
done
begin
xenstore-write "$back/error" 'not for you'
write 6
ended 3 'not for you'
xenstore-rm "$back/error"

# Initialised.
for value in 1 5; do
    begin
    publish
    write "$value"
    wait_for 10 front_state 1
    end
done
# A Connected that speaks of another frontend's life is none; nor is 3.
begin
publish
xenstore-write "$back/incarnation" 00000000000000aa "$back/state" 4
wait_for 10 front_state 1
end
for value in $illegal; do
    begin
    publish
    write "$value"
    ended 5 'state'
done
begin
publish
xenstore-write "$back/incarnation" "$(frontend_node guest1 0 incarnation)" \
    "$back/error" 'not like this' "$back/state" 6
ended 3 'not like this'

# Connected.
for value in 1 2 3 5; do
    begin
    publish
    connect
    write "$value"
    case $value in
    2) wait_for 10 front_state 3 ;;
    *) wait_for 10 front_state 1 ;;
    esac
    end
done
for value in $illegal; do
    begin
    publish
    connect
    write "$value"
    ended 5 'state'
done
# Another life of the backend, in the same state.
begin
publish
connect
xenstore-write "$back/generation" 00000000000000bb
wait_for 10 front_state 1
end
# There is no backend that lets go.
xenstore-rm /local/domain/0/backend/hcl
