# Jobs of sidekiq. Usage: sidekiq -r ./sidekiq_jobs.rb, or ruby sidekiq_jobs.rb enqueue PAUSE ENOUGH,
# with PORT in the environment.
require 'sidekiq'

$stdout.sync = true
url = "redis://127.0.0.1:#{ENV.fetch('PORT')}"
Sidekiq.configure_client { |config| config.redis = { url: url } }
Sidekiq.configure_server do |config|
  config.redis = { url: url }
  config.options[:poll_interval_average] = 1
end

# One job.
class Record
  include Sidekiq::Worker
  sidekiq_options retry: 50
  sidekiq_retry_in { 1 }

  def perform(number)
    Sidekiq.redis do |r|
      r.sadd('done:sidekiq', number)
      r.incr("ran:sidekiq:#{number}")
    end
  end
end

if ARGV[0] == 'enqueue'
  number = 0
  until File.exist?(ARGV[2])
    begin
      Record.perform_async(number)
    rescue Redis::BaseError => e
      puts "job #{number} once more: #{e.message}"
      retry
    end
    number += 1
    sleep ARGV[1].to_f
  end
  Sidekiq.redis { |r| r.set('put:sidekiq', number) }
end
