# A guest destroyed in the middle of a transfer leaves nothing
# timeout: 60

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps" ]'
create guest2 'hcl = [ "device=rng0" ]'
wait_for 20 backend_state guest1 1 2
wait_for 20 backend_state guest2 0 2
guest guest1 hclcat rng0 > /dev/null &
guest guest1 hclcat gps > /dev/null &
start_reading guest2 rng0
for at in "guest1 0" "guest1 1" "guest2 0"; do
    # shellcheck disable=SC2086 # two words
    wait_for 20 backend_state $at 4
done
one=$(domid guest1)
destroy guest1
domain_gone() {
    ! xl list | awk '{ print $2 }' | grep -qx "$one"
}
wait_for 10 domain_gone
nodes_gone() {
    [ "$(xenstore_has "/local/domain/0/backend/hcl/$one")" = no ]
}
wait_for 10 nodes_gone
goes_on guest2
