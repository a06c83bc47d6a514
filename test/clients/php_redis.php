<?php
// Ordinary work with phpredis, and PHP's own sessions on it. Usage: php php_redis.php PORT
function check(bool $what)
{
    if (!$what) {
        throw new Exception('wrong');
    }
}

$port = (int) $argv[1];
$r = new Redis();
check($r->connect('127.0.0.1', $port));

// strings
$binary = implode('', array_map('chr', range(0, 255))) . "\r\n";
check($r->set('php:bin', $binary) && $r->get('php:bin') === $binary);
check($r->incrBy('php:n', 5) === 5 && $r->decr('php:n') === 4);
check($r->set('php:n', 1, ['nx']) === false && $r->get('php:none') === false);
check($r->setex('php:ttl', 100, 'v') && $r->ttl('php:ttl') > 0 && $r->persist('php:ttl'));

// keys in many slots
$names = array_map(fn($i) => "php:many:$i", range(0, 299));
check($r->mset(array_combine($names, $names)) && $r->mget($names) === $names);
check($r->exists($names) === 300 && $r->del($names) === 300);

// collections
check($r->hMSet('php:h', ['a' => 1, 'b' => 'x']) && $r->hGetAll('php:h') == ['a' => '1', 'b' => 'x']);
$r->rPush('php:l', 'a', 'b', 'c');
check($r->lRange('php:l', 0, -1) === ['a', 'b', 'c'] && $r->rpoplpush('php:l', 'php:m') === 'c');
$r->sAdd('php:s', 'a', 'b');
$r->sAdd('php:t', 'b', 'c');
check($r->sInter('php:s', 'php:t') === ['b'] && $r->sUnionStore('php:u', 'php:s', 'php:t') === 3);
$r->zAdd('php:z', 1, 'one', 2.5, 'two');
check($r->zRange('php:z', 0, -1, true) === ['one' => 1.0, 'two' => 2.5]);
check($r->xAdd('php:x', '1-1', ['f' => 'v']) === '1-1' && $r->xLen('php:x') === 1);

// SCAN
$scanned = array_map(fn($i) => "php:scan:$i", range(0, 499));
$r->mset(array_fill_keys($scanned, 1));
$r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = [];
$cursor = null;
while (($keys = $r->scan($cursor, 'php:scan:*', 50)) !== false) {
    $found = array_merge($found, $keys);
}
check(count(array_unique($found)) === 500);
$r->del($scanned);

// pipelines
$r->multi(Redis::PIPELINE);
for ($i = 0; $i < 1000; $i++) {
    $r->set("php:pipe:$i", $i)->get("php:pipe:$i");
}
$replies = $r->exec();
check(count($replies) === 2000 && $replies[1999] === '999');

// scripts
$sha = $r->script('load', "return redis.call('GET', KEYS[1]) * ARGV[1]");
$r->set('php:two', 21);
check($r->evalSha($sha, ['php:two', 2], 1) === 42);
check($r->eval('return {KEYS[1], KEYS[2]}', ['php:a', 'php:b'], 2) === ['php:a', 'php:b']);

// errors and the server
check($r->lPush('php:h', 1) === false && strpos($r->getLastError(), 'WRONGTYPE') === 0);
check($r->info()['redis_mode'] === 'standalone' && $r->dbSize() > 0 && $r->ping());
check($r->config('GET', 'databases') == ['databases' => '1'] && $r->select(0));

// sessions
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', "tcp://127.0.0.1:$port?prefix=php:session:");
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
session_id('abc');
session_start();
$_SESSION['user'] = 'bob';
session_write_close();
$_SESSION = [];
session_start();
check($_SESSION['user'] === 'bob' && $r->ttl('php:session:abc') > 0);
session_destroy();
check($r->exists('php:session:abc') === 0);
