// Jobs of BullMQ. Usage: node bullmq_jobs.js work | enqueue PAUSE ENOUGH, with PORT in the environment.
// The prefix with a hash tag is what BullMQ asks for at any cluster: its scripts make up names of keys.
'use strict';
const fs = require('node:fs');
const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');
const { setTimeout: sleep } = require('node:timers/promises');

const connection = { port: Number(process.env.PORT), maxRetriesPerRequest: null };
const prefix = '{bull}';

function work() {
  const c = new Redis(connection);
  const worker = new Worker('jobs', async ({ data: { number } }) => {
    await c.sadd('done:bullmq', number);
    await c.incr(`ran:bullmq:${number}`);
  }, { connection, prefix, concurrency: 2, lockDuration: 5000, stalledInterval: 1000, maxStalledCount: 50 });
  worker.on('error', (e) => console.log(`worker: ${e.message}`));
  worker.on('failed', (job, e) => console.log(`job ${job && job.data.number} failed: ${e.message}`));
}

async function enqueue(pause, enough) {
  const queue = new Queue('jobs', { connection, prefix });
  queue.on('error', (e) => console.log(`queue: ${e.message}`));
  let number = 0;
  for (; !fs.existsSync(enough); number++) {
    for (;;) {
      try {
        await queue.add('record', { number }, { attempts: 50, backoff: { type: 'fixed', delay: 500 } });
        break;
      } catch (e) {
        console.log(`job ${number} once more: ${e.message}`);
      }
    }
    await sleep(pause * 1000);
  }
  await (await queue.client).set('put:bullmq', number);
  await queue.close();
}

if (process.argv[2] === 'work') work();
else enqueue(Number(process.argv[3]), process.argv[4]);
