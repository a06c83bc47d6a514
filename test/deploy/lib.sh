# What the tests of deploy/ share; to be sourced. A step that fails ends the test with a line that
# says which, so that no test goes on with half of what it needs.
# shellcheck shell=bash
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ROOT

say() {
    printf '%s\n' "$*"
}

die() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# passes NAME COMMAND...: one check, counted; its output is shown only if it fails.
CHECKS=0
passes() {
    local name=$1 output
    shift
    output=$("$@" 2>&1) || die "$name: $output"
    CHECKS=$((CHECKS + 1))
    say "  ok: $name"
}

# equals NAME WANTED FOUND
equals() {
    [ "$2" = "$3" ] || die "$1: wanted '$2', found '$3'"
    CHECKS=$((CHECKS + 1))
    say "  ok: $1"
}

# contains NAME TEXT PATTERN
contains() {
    grep -qE -- "$3" <<<"$2" || die "$1: no '$3' in: $2"
    CHECKS=$((CHECKS + 1))
    say "  ok: $1"
}

# Tries a command for up to 20 seconds.
wait_for() {
    local i
    for ((i = 0; i < 200; i++)); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

# skip WHY: this machine cannot run the test; that is no failure, but it is said.
skip() {
    say "skipped: $*"
    exit 0
}

# The mirror that apt of this machine uses, for roots of our own.
debian_mirror() {
    # shellcheck disable=SC2016 # these are apt's
    apt-get indextargets --format '$(SITE) $(CODENAME) $(CREATED_BY)' |
        awk '$2 == "bookworm" && $3 == "Packages" { print $1; exit }'
}

answers_ping() {
    [ "$(redis-cli -h "$1" -p "$2" ping 2>/dev/null)" = PONG ]
}

cluster_is_ok() {
    redis-cli -h "$1" -p "$2" cluster info | grep -q '^cluster_state:ok'
}

# start_cluster FOLDER ADDRESS FIRST_PORT: three masters that end with this shell's process group or
# namespace; files and logs go to FOLDER.
start_cluster() {
    local folder=$1 address=$2 first=$3 port nodes=()
    for ((port = first; port < first + 3; port++)); do
        mkdir -p "$folder/$port"
        redis-server --port "$port" --bind "$address" --protected-mode no --dir "$folder/$port" \
            --save '' --appendonly no --cluster-enabled yes --cluster-config-file nodes.conf \
            >"$folder/$port/log" 2>&1 </dev/null &
        CLUSTER_PIDS+=($!)
        nodes+=("$address:$port")
    done
    for ((port = first; port < first + 3; port++)); do
        wait_for answers_ping "$address" "$port" || die "redis-server on $port does not start"
    done
    redis-cli --cluster create "${nodes[@]}" --cluster-yes >"$folder/create.log" 2>&1 </dev/null ||
        die "no cluster: $(tail -n 5 "$folder/create.log")"
    for ((port = first; port < first + 3; port++)); do
        wait_for cluster_is_ok "$address" "$port" || die "the cluster does not get ready"
    done
}
CLUSTER_PIDS=()
