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

# transactions
replies = r.multi do |tx|
  20.times do |i|
    tx.set("rb:multi:#{i}", i)
    tx.get("rb:multi:#{i}")
  end
end
check replies.each_slice(2).map(&:last) == (0...20).map(&:to_s)
other = Redis.new(port: ARGV[0].to_i)
r.set('{rb:tx}n', 1)
lost = r.watch('{rb:tx}n') do
  other.incr('{rb:tx}n')
  r.multi { |tx| tx.set('{rb:tx}n', 'lost') }
end
check lost.nil? && r.get('{rb:tx}n') == '2'
check r.watch('{rb:tx}n', '{rb:tx}m') { r.unwatch } == 'OK'
r.set('{rb:tx}n', 0)
threads = (0...4).map do
  Thread.new do
    own = Redis.new(port: ARGV[0].to_i)
    done = 0
    while done < 10
      ok = own.watch('{rb:tx}n') do
        n = own.get('{rb:tx}n').to_i
        own.multi { |tx| tx.set('{rb:tx}n', n + 1) }
      end
      done += 1 if ok
    end
  end
end
threads.each(&:join)
check r.get('{rb:tx}n') == '40'

# commands that wait
r.del('rb:q', 'rb:q2', 'rb:done', 'rb:stream')
check r.blpop('rb:q', timeout: 0.1).nil?
# Does work on a connection of its own, and returns it once it waits.
aside = lambda do |&work|
  thread = Thread.new { work.call(Redis.new(port: ARGV[0].to_i)) }
  Thread.pass until r.client(:list).any? { |c| c['flags'].include?('b') }
  thread
end
waits = [
  [->(own) { own.blpop('rb:q', timeout: 20) }, %w[rb:q job]],
  [->(own) { own.brpop('rb:q', 'rb:q2', timeout: 20) }, %w[rb:q job]],
  [->(own) { own.brpoplpush('rb:q', 'rb:done', timeout: 20) }, 'job']
]
waits.each do |wait, expected|
  thread = aside.call(&wait)
  r.rpush('rb:q', 'job')
  check thread.value == expected
end
check r.lrange('rb:done', 0, -1) == ['job']
thread = aside.call { |own| own.xread('rb:stream', '$', block: 20_000) }
id = r.xadd('rb:stream', { 'f' => 'v' })
check thread.value == { 'rb:stream' => [[id, { 'f' => 'v' }]] }

# publish and subscribe
heard = []
thread = Thread.new do
  other.subscribe('rb:news', 'rb:other') do |on|
    on.message do |channel, message|
      heard << [channel, message]
      other.unsubscribe if heard.length == 2
    end
  end
end
Thread.pass until r.pubsub(:numsub, 'rb:other') == ['rb:other', 1]
check r.publish('rb:news', 'a') == 1 && r.publish('rb:other', 'b') == 1
thread.join
check heard == [%w[rb:news a], %w[rb:other b]]
thread = Thread.new do
  other.psubscribe('rb:n*') do |on|
    on.pmessage do |*message|
      heard << message
      other.punsubscribe
    end
  end
end
Thread.pass until r.pubsub(:numpat) == 1
check r.publish('rb:news', 'c') == 1
thread.join
check heard.last == %w[rb:n* rb:news c] && other.ping == 'PONG'
