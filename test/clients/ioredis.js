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

async function transactions(c, port) {
  const multi = c.multi();
  range(20).forEach((i) => multi.set(`io:multi:${i}`, i).get(`io:multi:${i}`));
  assert.deepEqual((await multi.exec()).filter((_, i) => i % 2), range(20).map((i) => [null, String(i)]));
  await c.del('{io:tx}n');
  const replies = await c.multi().incr('{io:tx}n').lpush('{io:tx}n', 1).incr('{io:tx}n').exec();
  assert.equal(replies[2][1], 2);
  assert.match(replies[1][0].message, /^WRONGTYPE/);
  // one command at a time instead of a pipeline
  await c.multi({ pipeline: false });
  assert.equal(await c.incr('{io:tx}n'), 'QUEUED');
  assert.deepEqual(await c.exec(), [[null, 3]]);
  await assert.rejects(c.multi().set('{io:tx}n').exec(), /^ReplyError: EXECABORT/);

  await c.watch('{io:tx}n');
  const other = new Redis(port);
  await other.incr('{io:tx}n');
  assert.equal(await c.multi().set('{io:tx}n', 'lost').exec(), null);
  await other.set('{io:tx}n', 0);
  await other.quit();
  await Promise.all(range(4).map(async () => {
    const own = new Redis(port);
    for (let done = 0; done < 10;) {
      await own.watch('{io:tx}n');
      const n = Number(await own.get('{io:tx}n'));
      if (await own.multi().set('{io:tx}n', n + 1).exec()) done++;
    }
    await own.quit();
  }));
  assert.equal(await c.get('{io:tx}n'), '40');
}

// Waits until that many clients wait in a command.
async function blocked(c, count) {
  while (((await c.client('LIST')).match(/ flags=\w*b/g) || []).length < count);
}

async function blocking(c, port) {
  const waiting = new Redis(port);
  await c.del('io:q', 'io:q2', 'io:done', 'io:stream');
  assert.equal(await waiting.blpop('io:q', 0.1), null);
  for (const keys of [['io:q'], ['io:q', 'io:q2']]) {
    const popped = waiting.blpop(...keys, 20);
    await blocked(c, 1);
    await c.rpush('io:q', 'job');
    assert.deepEqual(await popped, ['io:q', 'job']);
  }
  const moved = waiting.brpoplpush('io:q', 'io:done', 20);
  await blocked(c, 1);
  await c.rpush('io:q', 'job');
  assert.equal(await moved, 'job');
  const read = waiting.xread('BLOCK', 20000, 'STREAMS', 'io:stream', '$');
  await blocked(c, 1);
  const id = await c.xadd('io:stream', '*', 'f', 'v');
  assert.deepEqual(await read, [['io:stream', [[id, ['f', 'v']]]]]);
  const left = waiting.brpop('io:q', 0);
  await blocked(c, 1);
  waiting.disconnect();
  await assert.rejects(left, /Connection is closed/);
  while (/ flags=\w*b/.test(await c.client('LIST')));
  assert.equal(await c.rpush('io:q', 'kept') && await c.llen('io:q'), 1);
}

async function pubsub(c, port) {
  const subscriber = new Redis(port);
  const heard = [];
  subscriber.on('message', (channel, message) => heard.push(`${channel} ${message}`));
  subscriber.on('pmessage', (pattern, channel, message) => heard.push(`${pattern} ${channel} ${message}`));
  subscriber.on('smessage', (channel, message) => heard.push(`${channel} ${message}`));
  assert.equal(await subscriber.subscribe('io:news', 'io:other'), 2);
  assert.equal(await subscriber.psubscribe('io:n*'), 3);
  assert.equal(await subscriber.ssubscribe('io:shard'), 1);
  assert.equal(await c.publish('io:news', 'a'), 2);
  assert.equal(await c.publish('io:other', 'b'), 1);
  assert.equal(await c.spublish('io:shard', 'c'), 1);
  while (heard.length < 4) await subscriber.ping();
  assert.deepEqual(heard.sort(), ['io:n* io:news a', 'io:news a', 'io:other b', 'io:shard c']);
  await assert.rejects(subscriber.get('io:a'), /subscriber mode/);
  assert.deepEqual(await c.pubsub('NUMSUB', 'io:news'), ['io:news', 1]);
  // cut off, it connects again and subscribes to all of it by itself
  const ids = (await c.client('LIST')).split('\n').filter((line) => / p?sub=[1-9]/.test(line));
  const again = new Promise((done) => { subscriber.once('ready', done); });
  assert.equal(await c.client('KILL', 'ID', ids[0].match(/id=(\d+)/)[1]), 1);
  await again;
  heard.length = 0;
  while (!heard.includes('io:n* io:news again')) await c.publish('io:news', 'again');
  await subscriber.unsubscribe('io:news', 'io:other');
  await subscriber.punsubscribe('io:n*');
  await subscriber.sunsubscribe('io:shard');
  await subscriber.quit();
}

async function main() {
  const port = Number(process.argv[2]);
  const c = new Redis(port, { connectionName: 'io' });
  for (const work of [strings, manySlots, collections, scans, pipelines, scripts]) await work(c);
  await autoPipelining(port);
  for (const work of [transactions, blocking, pubsub]) await work(c, port);
  assert.equal(await c.client('GETNAME'), 'io');
  await c.quit();
}

main();
