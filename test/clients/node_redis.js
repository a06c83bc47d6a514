// Ordinary work with node-redis. Usage: node node_redis.js PORT
'use strict';
const assert = require('node:assert/strict');
const { createClient, commandOptions } = require('redis');

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

async function main() {
  const c = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  c.on('error', (e) => { throw e; });
  await c.connect();
  for (const work of [strings, manySlots, collections, expiry, scans, pipelines, scripts, server]) {
    await work(c);
  }
  await c.quit();
}

main();
