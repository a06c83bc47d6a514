// A web server whose sessions connect-redis keeps, and a browser. Usage: node express_session.js PORT
'use strict';
const assert = require('node:assert/strict');
const http = require('node:http');
const { promisify } = require('node:util');
const session = require('express-session');
const RedisStore = require('connect-redis').default;
const { createClient } = require('redis');

const get = (port, cookie) => new Promise((done, fail) => {
  http.get({ port, host: '127.0.0.1', headers: { cookie } }, (answer) => {
    let text = '';
    answer.on('data', (part) => { text += part; });
    answer.on('end', () => done({ text, cookie: answer.headers['set-cookie'] }));
  }).on('error', fail);
});

async function main() {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  await client.connect();
  const store = new RedisStore({ client, prefix: 'session:', ttl: 100 });
  const middleware = session({ store, secret: 'x', resave: false, saveUninitialized: false });
  const server = http.createServer((request, answer) => middleware(request, answer, () => {
    request.session.views = (request.session.views || 0) + 1;
    answer.end(String(request.session.views));
  }));
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const { port } = server.address();
  for (let browser = 0; browser < 20; browser++) {
    const first = await get(port, '');
    const cookie = first.cookie[0].split(';')[0];
    assert.equal(first.text, '1');
    assert.equal((await get(port, cookie)).text, '2');
    assert.equal((await get(port, cookie)).text, '3');
  }
  const ask = (name) => promisify(store[name].bind(store))();
  assert.equal((await ask('all')).length, 20);
  assert.equal(await ask('length'), 20);
  await ask('clear');
  assert.equal(await ask('length'), 0);
  server.close();
  await client.quit();
}

main();
