"""Jobs of rq. Usage: rq_jobs.py work | enqueue PAUSE ENOUGH, with PORT in the environment."""
import os
import sys
import time

import redis
import rq

r = redis.Redis(port=int(os.environ["PORT"]))


def record(number):
    r.sadd("done:rq", number)
    r.incr("ran:rq:%d" % number)


def enqueue(pause, enough):
    queue = rq.Queue("jobs", connection=r)
    number = 0
    while not os.path.exists(enough):
        while True:
            try:
                queue.enqueue("rq_jobs.record", number, retry=rq.Retry(max=50), result_ttl=60)
                break
            except redis.RedisError as e:
                print("job %d once more: %s" % (number, e), flush=True)
        number += 1
        time.sleep(pause)
    r.set("put:rq", number)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        rq.Worker(["jobs"], connection=r).work()
    else:
        enqueue(float(sys.argv[2]), sys.argv[3])
