# Ordinary work with redis-rb. Usage: ruby ruby_redis.rb PORT
require 'redis'
require 'set'

def check(what)
  raise 'wrong' unless what
end

r = Redis.new(port: ARGV[0].to_i)

# strings
binary = (0..255).to_a.pack('C*') + "\r\n"
check r.set('rb:bin', binary) == 'OK' && r.get('rb:bin').b == binary.b
check r.incrby('rb:n', 5) == 5 && r.decr('rb:n') == 4
check r.set('rb:n', 1, nx: true) == false && r.get('rb:none').nil?
check r.set('rb:ttl', 1, ex: 100) == 'OK' && r.ttl('rb:ttl').between?(1, 100)
check r.persist('rb:ttl') && r.ttl('rb:ttl') == -1

# keys in many slots
names = (0...300).map { |i| "rb:many:#{i}" }
check r.mapped_mset(names.to_h { |n| [n, n] }) == 'OK' && r.mget(*names) == names
check r.exists(*names) == 300 && r.del(*names) == 300

# collections
r.hset('rb:h', { 'a' => 1, 'b' => 'x' })
check r.hgetall('rb:h') == { 'a' => '1', 'b' => 'x' }
r.rpush('rb:l', %w[a b c])
check r.lrange('rb:l', 0, -1) == %w[a b c] && r.rpoplpush('rb:l', 'rb:m') == 'c'
r.sadd('rb:s', %w[a b])
r.sadd('rb:t', %w[b c])
check r.sinter('rb:s', 'rb:t') == ['b'] && r.sunionstore('rb:u', 'rb:s', 'rb:t') == 3
r.zadd('rb:z', [[1, 'one'], [2.5, 'two']])
check r.zrange('rb:z', 0, -1, with_scores: true) == [['one', 1.0], ['two', 2.5]]
check r.xadd('rb:x', { 'f' => 'v' }, id: '1-1') == '1-1'
check r.pfadd('rb:p', [1, 2, 3]) && r.pfcount('rb:p') == 3

# SCAN
scanned = (0...500).map { |i| "rb:scan:#{i}" }
r.mapped_mset(scanned.to_h { |n| [n, 1] })
check r.scan_each(match: 'rb:scan:*', count: 50).to_set == scanned.to_set
r.del(*scanned)

# pipelines
replies = r.pipelined do |p|
  1000.times do |i|
    p.set("rb:pipe:#{i}", i)
    p.get("rb:pipe:#{i}")
  end
end
check replies.each_slice(2).map(&:last) == (0...1000).map(&:to_s)

# scripts
r.set('rb:two', 21)
sha = r.script(:load, "return redis.call('GET', KEYS[1]) * ARGV[1]")
check r.evalsha(sha, ['rb:two'], [2]) == 42
check r.eval('return {KEYS[1], KEYS[2]}', %w[rb:a rb:b]) == %w[rb:a rb:b]

# errors and the server
begin
  r.lpush('rb:h', 1)
  raise 'a wrong type is no error'
rescue Redis::CommandError => e
  check e.message.start_with?('WRONGTYPE')
end
check r.ping == 'PONG' && r.info['redis_mode'] == 'standalone' && r.dbsize.positive?
check r.config(:get, 'databases') == { 'databases' => '1' }
check r.type('rb:h') == 'hash' && r.rename('rb:m', 'rb:renamed') == 'OK'
