"""Jobs of celery. Usage: celery -A celery_jobs worker, or celery_jobs.py enqueue PAUSE ENOUGH, with
PORT in the environment."""
import os
import sys
import time

import kombu.exceptions
import redis
from celery import Celery

url = "redis://127.0.0.1:%s/0" % os.environ["PORT"]
app = Celery("celery_jobs", broker=url, backend=url)
app.conf.update(task_acks_late=True, broker_transport_options={"visibility_timeout": 10})
r = redis.Redis.from_url(url)


@app.task(autoretry_for=(redis.RedisError,), default_retry_delay=1, max_retries=50)
def record(number):
    r.sadd("done:celery", number)
    r.incr("ran:celery:%d" % number)
    return number


def enqueue(pause, enough):
    number = 0
    while not os.path.exists(enough):
        while True:
            try:
                record.delay(number)
                break
            except (redis.RedisError, kombu.exceptions.KombuError) as e:
                print("job %d once more: %s" % (number, e), flush=True)
        number += 1
        time.sleep(pause)
    r.set("put:celery", number)


if __name__ == "__main__":
    enqueue(float(sys.argv[2]), sys.argv[3])
