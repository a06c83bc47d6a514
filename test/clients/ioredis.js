// Ordinary work with ioredis. Usage: node ioredis.js PORT
'use strict';
const assert = require('node:assert/strict');
const Redis = require('ioredis');

const range = (n) => [...Array(n).keys()];

async function strings(c) {
  const binary = Buffer.from([...range(256), 13, 10]);
  await c.set('io:bin', binary);
  assert.deepEqual(await c.getBuffer('io:bin'), binary);
  assert.equal(await c.incrby('io:n', 5), 5);
  assert.equal(await c.set('io:n', 1, 'NX'), null);
  assert.equal(await c.set('io:ttl', 1, 'EX', 100), 'OK');
  assert.ok(await c.ttl('io:ttl') > 0);
}

async function manySlots(c) {
  const names = range(300).map((i) => `io:many:${i}`);
  await c.mset(...names.flatMap((n) => [n, n]));
  assert.deepEqual(await c.mget(...names, 'io:none'), [...names, null]);
  assert.equal(await c.unlink(...names), 300);
}

async function collections(c) {
  await c.hset('io:h', { a: 1, b: 'x' });
  assert.deepEqual(await c.hgetall('io:h'), { a: '1', b: 'x' });
  await c.rpush('io:l', 'a', 'b', 'c');
  assert.equal(await c.lmove('io:l', 'io:m', 'LEFT', 'RIGHT'), 'a');
  await c.sadd('io:s', 'a', 'b');
  await c.sadd('io:t', 'b', 'c');
  assert.deepEqual(await c.sinter('io:s', 'io:t'), ['b']);
  await c.zadd('io:z', 1, 'one', 2.5, 'two');
  assert.deepEqual(await c.zrange('io:z', 0, -1, 'WITHSCORES'), ['one', '1', 'two', '2.5']);
  assert.equal(await c.zunionstore('io:w', 2, 'io:z', 'io:s'), 4);
}

async function scans(c) {
  const names = range(500).map((i) => `io:scan:${i}`);
  await c.mset(...names.flatMap((n) => [n, '1']));
  const found = new Set();
  for await (const keys of c.scanStream({ match: 'io:scan:*', count: 50 })) {
    keys.forEach((k) => found.add(k));
  }
  assert.deepEqual([...found].sort(), names.sort());
  await c.del(...names);
}

async function pipelines(c) {
  const pipeline = c.pipeline();
  range(1000).forEach((i) => pipeline.set(`io:pipe:${i}`, i).get(`io:pipe:${i}`));
  const replies = await pipeline.exec();
  assert.deepEqual(replies.filter((_, i) => i % 2), range(1000).map((i) => [null, String(i)]));
  const [[wrong]] = await c.pipeline().lpush('io:h', 'x').exec();
  assert.match(wrong.message, /^WRONGTYPE/);
}

// defineCommand sends EVALSHA first and EVAL when the script is not there.
async function scripts(c) {
  c.defineCommand('both', { numberOfKeys: 2,
    lua: "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), ARGV[1]}" });
  await c.mset('io:a', '1', 'io:b', '2');
  assert.deepEqual(await c.both('io:a', 'io:b', 'x'), ['1', '2', 'x']);
  await c.script('FLUSH');
  assert.deepEqual(await c.both('io:a', 'io:b', 'y'), ['1', '2', 'y']);
}

// What it does with autoPipelining: commands of one turn become one pipeline.
async function autoPipelining(port) {
  const c = new Redis(port, { enableAutoPipelining: true });
  const replies = await Promise.all(range(500).map((i) => c.incr(`io:auto:${i % 50}`)));
  assert.equal(Math.max(...replies), 10);
  await c.quit();
}

async function main() {
  const port = Number(process.argv[2]);
  const c = new Redis(port, { connectionName: 'io' });
  for (const work of [strings, manySlots, collections, scans, pipelines, scripts]) await work(c);
  await autoPipelining(port);
  assert.equal(await c.client('GETNAME'), 'io');
  await c.quit();
}

main();
