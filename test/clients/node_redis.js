// Ordinary work with node-redis. Usage: node node_redis.js PORT
'use strict';
const assert = require('node:assert/strict');
const { createClient, commandOptions, WatchError } = require('redis');

const range = (n) => [...Array(n).keys()];

async function strings(c) {
  const binary = Buffer.from([...range(256), 13, 10]);
  assert.equal(await c.set('node:bin', binary), 'OK');
  assert.deepEqual(await c.get(commandOptions({ returnBuffers: true }), 'node:bin'), binary);
  assert.equal(await c.incrBy('node:n', 5), 5);
  assert.equal(await c.set('node:n', 1, { NX: true }), null);
  assert.equal(await c.get('node:none'), null);
}

async function manySlots(c) {
  const names = range(300).map((i) => `node:many:${i}`);
  await c.mSet(names.map((n) => [n, n]));
  assert.deepEqual(await c.mGet([...names, 'node:none']), [...names, null]);
  assert.equal(await c.exists(names), 300);
  assert.equal(await c.del(names), 300);
}

async function collections(c) {
  await c.hSet('node:h', { a: 1, b: 'x' });
  assert.deepEqual({ ...await c.hGetAll('node:h') }, { a: '1', b: 'x' });
  await c.rPush('node:l', ['a', 'b', 'c']);
  assert.deepEqual(await c.lRange('node:l', 0, -1), ['a', 'b', 'c']);
  await c.sAdd('node:s', ['a', 'b']);
  await c.sAdd('node:t', ['b', 'c']);
  assert.deepEqual(await c.sInter(['node:s', 'node:t']), ['b']);
  assert.equal(await c.sUnionStore('node:u', ['node:s', 'node:t']), 3);
  await c.zAdd('node:z', [{ score: 1, value: 'one' }, { score: 2.5, value: 'two' }]);
  assert.deepEqual(await c.zRangeWithScores('node:z', 0, -1),
    [{ value: 'one', score: 1 }, { value: 'two', score: 2.5 }]);
  assert.equal(await c.xAdd('node:x', '1-1', { f: 'v' }), '1-1');
  assert.equal((await c.xRange('node:x', '-', '+'))[0].message.f, 'v');
}

async function expiry(c) {
  await c.set('node:ttl', 1, { EX: 100 });
  const ttl = await c.ttl('node:ttl');
  assert.ok(ttl > 0 && ttl <= 100);
  await c.persist('node:ttl');
  assert.equal(await c.ttl('node:ttl'), -1);
}

async function scans(c) {
  const names = range(500).map((i) => `node:scan:${i}`);
  await c.mSet(names.map((n) => [n, '1']));
  const found = new Set();
  for await (const key of c.scanIterator({ MATCH: 'node:scan:*', COUNT: 50 })) found.add(key);
  assert.deepEqual([...found].sort(), names.sort());
  await c.del(names);
}

async function pipelines(c) {
  const replies = await Promise.all(range(1000).flatMap((i) =>
    [c.set(`node:pipe:${i}`, i), c.get(`node:pipe:${i}`)]));
  assert.deepEqual(replies.filter((_, i) => i % 2), range(1000).map(String));
  const [wrong, right] = await Promise.allSettled([c.lPush('node:h', 'x'), c.get('node:ttl')]);
  assert.match(wrong.reason.message, /^WRONGTYPE/);
  assert.equal(right.value, '1');
}

async function scripts(c) {
  await c.set('node:two', 21);
  const sha = await c.scriptLoad("return redis.call('GET', KEYS[1]) * ARGV[1]");
  assert.equal(await c.evalSha(sha, { keys: ['node:two'], arguments: ['2'] }), 42);
  assert.deepEqual(await c.eval('return {KEYS[1], KEYS[2]}', { keys: ['node:a', 'node:b'] }),
    ['node:a', 'node:b']);
}

async function server(c) {
  assert.equal(await c.ping(), 'PONG');
  assert.match(await c.info(), /redis_mode:standalone/);
  assert.equal((await c.configGet('databases')).databases, '1');
  await c.clientSetName('node');
  assert.equal(await c.clientGetName(), 'node');
  await c.rename('node:l', 'node:renamed');
  assert.equal(await c.type('node:renamed'), 'list');
  assert.ok(await c.dbSize() > 0);
}

async function transactions(c) {
  const multi = c.multi();
  range(20).forEach((i) => multi.set(`node:multi:${i}`, i).get(`node:multi:${i}`));
  assert.deepEqual((await multi.exec()).filter((_, i) => i % 2), range(20).map(String));
  await c.set('{node:tx}n', 0);
  // executeIsolated is node-redis' way to WATCH: a connection of its own from a pool
  const conflict = c.executeIsolated(async (own) => {
    await own.watch('{node:tx}n');
    await c.incr('{node:tx}n');
    return own.multi().set('{node:tx}n', 'lost').exec();
  });
  await assert.rejects(conflict, WatchError);
  await c.set('{node:tx}n', 0);
  const increment = () => c.executeIsolated(async (own) => {
    for (;;) {
      await own.watch('{node:tx}n');
      const n = Number(await own.get('{node:tx}n'));
      try {
        return await own.multi().set('{node:tx}n', n + 1).exec();
      } catch (e) {
        if (!(e instanceof WatchError)) throw e;
      }
    }
  });
  await Promise.all(range(40).map(increment));
  assert.equal(await c.get('{node:tx}n'), '40');
}

// Waits until that many clients wait in a command.
async function blocked(c, count) {
  while ((await c.clientList()).filter(({ flags }) => flags.includes('b')).length < count);
}

async function blocking(c) {
  const isolated = commandOptions({ isolated: true });
  await c.del(['node:q', 'node:q2', 'node:done', 'node:stream']);
  assert.equal(await c.blPop(isolated, 'node:q', 0.1), null);
  for (const keys of ['node:q', ['node:q', 'node:q2']]) {
    const popped = c.blPop(isolated, keys, 20);
    await blocked(c, 1);
    await c.rPush('node:q', 'job');
    assert.deepEqual({ ...await popped }, { key: 'node:q', element: 'job' });
  }
  const moved = c.brPopLPush(isolated, 'node:q', 'node:done', 20);
  await blocked(c, 1);
  await c.rPush('node:q', 'job');
  assert.equal(await moved, 'job');
  assert.deepEqual(await c.lRange('node:done', 0, -1), ['job']);
  const read = c.xRead(isolated, { key: 'node:stream', id: '$' }, { BLOCK: 20000 });
  await blocked(c, 1);
  const id = await c.xAdd('node:stream', '*', { f: 'v' });
  assert.equal((await read)[0].messages[0].id, id);
}

async function pubsub(c) {
  const subscriber = c.duplicate();
  subscriber.on('error', (e) => { throw e; });
  await subscriber.connect();
  const heard = [];
  const listener = (message, channel) => heard.push(`${channel} ${message}`);
  await subscriber.subscribe(['node:news', 'node:other'], listener);
  await subscriber.pSubscribe('node:n*', listener);
  await subscriber.sSubscribe('node:shard', listener);
  assert.equal(await c.publish('node:news', 'a'), 2);
  assert.equal(await c.publish('node:other', 'b'), 1);
  assert.equal(await c.sPublish('node:shard', 'c'), 1);
  while (heard.length < 4) await subscriber.ping();
  assert.deepEqual(heard.sort(),
    ['node:news a', 'node:news a', 'node:other b', 'node:shard c']);
  assert.deepEqual({ ...await c.pubSubNumSub('node:news') }, { 'node:news': 1 });
  assert.deepEqual(await c.pubSubShardChannels('node:*'), ['node:shard']);
  await subscriber.unsubscribe(['node:news', 'node:other']);
  await subscriber.pUnsubscribe('node:n*');
  await subscriber.sUnsubscribe('node:shard');
  await subscriber.set('node:after', 1); // it is an ordinary connection again
  await subscriber.quit();
}

async function main() {
  const c = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  c.on('error', (e) => { throw e; });
  await c.connect();
  const works = [strings, manySlots, collections, expiry, scans, pipelines, scripts, server,
    transactions, blocking, pubsub];
  for (const work of works) await work(c);
  await c.quit();
}

main();
