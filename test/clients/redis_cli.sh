#!/usr/bin/env bash
# The modes of redis-cli that walk or load a whole data set. Usage: redis_cli.sh PORT
set -euo pipefail
port=$1
cli() { redis-cli -p "$port" "$@"; }
wrong() { echo "redis-cli: $*" >&2; exit 1; }

cli unlink cli:list cli:stdin >/dev/null
# --pipe: inline commands and a binary value
{
    for i in {1..2000}; do printf 'SET cli:%d value:%d\r\n' "$i" "$i"; done
    printf '*3\r\n$3\r\nSET\r\n$7\r\ncli:bin\r\n$4\r\n\0\r\n\n\r\n'
    printf 'RPUSH cli:list a b c d\r\nHSET cli:hash f v g w\r\n'
} | cli --pipe | grep -q 'errors: 0, replies: 2003' || wrong --pipe
[ "$(cli strlen cli:bin)" = 4 ] || wrong 'a binary value'
[ "$(cli --scan --pattern 'cli:*' | sort -u | wc -l)" -eq 2003 ] || wrong --scan
cli --bigkeys | grep -q 'Biggest   list found .*cli:list.* has 4 items' || wrong --bigkeys
cli --memkeys | grep -q 'Biggest' || wrong --memkeys
# --stat goes on until it is stopped; --latency ends after a second when nobody looks
stat=$(timeout 1 stdbuf -oL redis-cli -p "$port" --stat || true)
grep -q '^[1-9][0-9]* .*[KMG]  *[1-9]' <<<"$stat" || wrong "--stat: $stat"
[[ $(timeout 10 redis-cli -p "$port" --latency --raw) =~ [0-9]\ [0-9] ]] || wrong --latency
[ "$(cli --eval <(echo "return {KEYS[1], KEYS[2], ARGV[1]}") a b , c | tr '\n' ' ')" = 'a b c ' ] ||
    wrong --eval
[ "$(cli -3 hgetall cli:hash | head -n 1)" = 'f v' ] || wrong -3
printf 'v' | cli -x set cli:stdin >/dev/null && [ "$(cli get cli:stdin)" = v ] || wrong -x
