# Rails.cache on Redis (ActiveSupport::Cache::RedisCacheStore). Usage: ruby rails_cache.rb PORT
require 'active_support'
require 'active_support/core_ext'
require 'active_support/cache/redis_cache_store'

def check(what)
  raise 'wrong' unless what
end

failed = ->(method:, returning:, exception:) { raise exception }
cache = ActiveSupport::Cache::RedisCacheStore.new(url: "redis://127.0.0.1:#{ARGV[0]}",
                                                  namespace: 'rails', error_handler: failed)

check cache.write('a', { 'user' => 'bob', 'n' => 1 }) && cache.read('a') == { 'user' => 'bob', 'n' => 1 }
check cache.fetch('computed', expires_in: 100) { 42 } == 42
check cache.fetch('computed') { raise 'it was there' } == 42
check cache.exist?('a') && !cache.exist?('none')

many = (0...200).to_h { |i| ["many:#{i}", "value #{i}"] }
cache.write_multi(many)
check cache.read_multi(*many.keys) == many
more = cache.fetch_multi('many:0', 'new:0', 'new:1') { |name| "made #{name}" }
check more == { 'many:0' => 'value 0', 'new:0' => 'made new:0', 'new:1' => 'made new:1' }
check cache.read('new:1') == 'made new:1'

check cache.increment('count', 1, expires_in: 100) == 1 && cache.increment('count', 2) == 3
check cache.decrement('count') == 2
check cache.write('large', 'x' * 100_000) && cache.read('large').length == 100_000
check cache.delete('a') && cache.read('a').nil?
cache.delete_matched('many:*')
check cache.read_multi(*many.keys).empty?
cache.clear
check cache.read('computed').nil?
