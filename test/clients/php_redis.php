<?php
// Ordinary work with phpredis, and PHP's own sessions on it. Usage: php php_redis.php PORT
function check(bool $what)
{
    if (!$what) {
        throw new Exception('wrong');
    }
}

function connect(): Redis
{
    global $port;
    $r = new Redis();
    check($r->connect('127.0.0.1', $port));
    return $r;
}

// Does work in a process and on a connection of its own; the function that comes back waits for its
// end.
function aside(callable $work): callable
{
    $pid = pcntl_fork();
    if ($pid === 0) {
        pcntl_alarm(20);
        try {
            $work(connect());
        } catch (Throwable $e) {
            fwrite(STDERR, "$e\n");
            exit(1);
        }
        exit(0);
    }
    return fn() => check(pcntl_waitpid($pid, $status) === $pid && $status === 0);
}

// Waits until a client waits in a command.
function blocked(Redis $r)
{
    while (count(array_filter($r->client('list'), fn($c) => strpos($c['flags'], 'b') !== false)) < 1);
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

// transactions
$r->multi();
for ($i = 0; $i < 20; $i++) {
    $r->set("php:multi:$i", $i)->get("php:multi:$i");
}
check($r->exec()[39] === '19');
$r->set('{php:tx}n', 0);
check($r->multi()->incr('{php:tx}n')->lPush('{php:tx}n', 1)->incr('{php:tx}n')->exec() === [1, false, 2]);
check($r->multi()->set('{php:tx}n', 'gone')->discard() && $r->get('{php:tx}n') === '2');
$r->watch('{php:tx}n');
connect()->incr('{php:tx}n');
check($r->multi()->set('{php:tx}n', 'lost')->exec() === false && $r->get('{php:tx}n') === '3');
$r->watch('{php:tx}n', '{php:tx}m');
check($r->unwatch() && $r->set('{php:tx}n', 0));
$ends = [];
for ($i = 0; $i < 3; $i++) {
    $ends[] = aside(function (Redis $own) {
        for ($done = 0; $done < 10;) {
            $own->watch('{php:tx}n');
            $n = $own->get('{php:tx}n');
            if ($own->multi()->set('{php:tx}n', $n + 1)->exec()) {
                $done++;
            }
        }
    });
}
array_map(fn($end) => $end(), $ends);
check($r->get('{php:tx}n') === '30');

// commands that wait
$r->del('php:q', 'php:q2', 'php:done', 'php:stream');
check($r->blPop('php:q', 1) === []);
$waits = [
    fn($own) => check($own->blPop('php:q', 20) === ['php:q', 'job']),
    fn($own) => check($own->brPop(['php:q', 'php:q2'], 20) === ['php:q', 'job']),
    fn($own) => check($own->brpoplpush('php:q', 'php:done', 20) === 'job'),
];
foreach ($waits as $wait) {
    $end = aside($wait);
    blocked($r);
    $r->rPush('php:q', 'job');
    $end();
}
check($r->lRange('php:done', 0, -1) === ['job']);
$end = aside(fn($own) =>
    check(current($own->xRead(['php:stream' => '$'], 1, 20000)['php:stream']) === ['f' => 'v']));
blocked($r);
$r->xAdd('php:stream', '*', ['f' => 'v']);
$end();

// publish and subscribe: phpredis listens until its callback closes the connection
$end = aside(function (Redis $own) {
    $heard = [];
    try {
        $own->subscribe(['php:news', 'php:other'], function ($own, $channel, $message) use (&$heard) {
            $heard[] = "$channel $message";
            if (count($heard) === 2) {
                check($own->unsubscribe(['php:news', 'php:other']) == ['php:news' => true, 'php:other' => true]);
                $own->close();
            }
        });
    } catch (RedisException $e) {
        check($heard === ['php:news a', 'php:other b']);
    }
});
while ($r->pubsub('numsub', ['php:other'])['php:other'] < 1);
check($r->publish('php:news', 'a') === 1 && $r->publish('php:other', 'b') === 1);
$end();
$end = aside(function (Redis $own) {
    $heard = [];
    try {
        $own->psubscribe(['php:n*'], function ($own, ...$message) use (&$heard) {
            $heard = $message;
            $own->close();
        });
    } catch (RedisException $e) {
        check($heard === ['php:n*', 'php:news', 'c']);
    }
});
while ($r->pubsub('numpat') < 1);
check($r->publish('php:news', 'c') === 1);
$end();

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
