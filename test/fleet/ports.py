#!/usr/bin/env python3
"""Clients that come back from the port that they had. A reset leaves a port free at once, and the kernel may give it
to the next connection, so a balancer must not remember it for longer.

Usage: ports.py ADDRESS PORT INSTANCE. Says which of its ports lead to that instance. Commands on stdin, each answered
with a line of JSON: speak, back.
"""

import json
import socket
import sys

ADDRESS, INSTANCE = (sys.argv[1], int(sys.argv[2])), sys.argv[3]
PORTS = range(20000, 20032)  # the kernel gives others away by itself


def connect(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(2)
    try:
        s.bind(("", port))
        s.connect(ADDRESS)
    except OSError:
        s.close()
        raise
    return s


def leads_there(s):
    s.sendall(b"CLIENT INFO\r\n")
    return f" laddr={INSTANCE}:".encode() in s.recv(4096)


def end_of(s):
    """How a connection ends on which nothing may come."""
    with s:
        try:
            return "said something" if s.recv(100) else "closed"
        except ConnectionResetError:
            return "reset"
        except OSError as e:
            return str(e)


def served(port):
    try:
        with connect(port) as s:
            s.sendall(b"PING\r\n")
            return "served" if s.recv(100) == b"+PONG\r\n" else "not served"
    except OSError as e:
        return str(e)


def say(what):
    print(json.dumps(what), flush=True)


def main():
    clients = {}
    for port in PORTS:
        s = connect(port)
        if leads_there(s):
            clients[port] = s
        else:
            s.close()
    say(list(clients))
    for line in sys.stdin:
        if line.strip() == "speak":
            for s in clients.values():
                s.sendall(b"PING\r\n")
            say(True)
        else:
            say([[port, end_of(s), served(port)] for port, s in clients.items()])


if __name__ == "__main__":
    main()
